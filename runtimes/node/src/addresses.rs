//! The addresses of a node's pods.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A range of addresses, such as `10.244.3.0/24`, given out one by one. What comes back is used again
/// only after all others.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    range: Option<Range>,
    /// How many of the range were given out once.
    begun: u32,
    returned: VecDeque<Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    size: u32,
}

/// A text that is no range of IPv4 addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no range of IPv4 addresses, such as 10.244.0.0/24")]
pub struct NoRange(String);

impl FromStr for Addresses {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no_range = || NoRange(text.to_owned());
        let (address, bits) = text.split_once('/').ok_or_else(no_range)?;
        let address: Ipv4Addr = address.parse().map_err(|_| no_range())?;
        let bits: u32 = bits.parse().map_err(|_| no_range())?;
        if !(8..=30).contains(&bits) {
            return Err(no_range());
        }
        let size = 1_u32 << (32 - bits);
        let first = u32::from(address) & !(size - 1);
        Ok(Self { range: Some(Range { first, size }), ..Self::default() })
    }
}

impl Addresses {
    /// The next free address, if there is one. The first two and the last of the range are not given
    /// out: they are the network's, its bridge's, and that for all.
    pub fn take(&mut self) -> Option<Ipv4Addr> {
        let range = self.range?;
        while self.begun + 3 < range.size {
            let address = Ipv4Addr::from(range.first + 2 + self.begun);
            self.begun += 1;
            if self.taken.insert(address) {
                return Some(address);
            }
        }
        let address = self.returned.pop_front()?;
        self.taken.insert(address);
        Some(address)
    }

    /// This address is in use already.
    pub fn reserve(&mut self, address: Ipv4Addr) {
        self.taken.insert(address);
    }

    /// This address is free again. One that was not given out is none of this range's.
    pub fn give_back(&mut self, address: Ipv4Addr) {
        if self.taken.remove(&address) {
            self.returned.push_back(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_used_again_when_all_were_used() {
        let mut addresses: Addresses = "10.1.2.9/29".parse().unwrap();
        addresses.reserve("10.1.2.11".parse().unwrap());
        let all: Vec<String> =
            std::iter::from_fn(|| addresses.take()).map(|ip| ip.to_string()).collect();
        assert_eq!(all, ["10.1.2.10", "10.1.2.12", "10.1.2.13", "10.1.2.14"]);
        addresses.give_back("10.1.2.12".parse().unwrap());
        addresses.give_back("10.9.9.9".parse().unwrap());
        assert_eq!(addresses.take().map(|ip| ip.to_string()).as_deref(), Some("10.1.2.12"));
        assert_eq!(addresses.take(), None);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.1.2.3", "10.1.2.3/33", "10.1.2/24", "fd00::/64", "0.0.0.0/0"] {
            assert!(text.parse::<Addresses>().is_err(), "{text}");
        }
    }
}
