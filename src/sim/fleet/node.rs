//! What pods on a node wait for: pulls of images and starts of containers, of which only a few go
//! on at once.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::num::{NonZeroU32, NonZeroU64};
use core::time::Duration;

use smol_str::SmolStr;

use super::life::{Node, Pull};
use super::summary::Distribution;
use crate::pod::{Container, ImagePullPolicy};
use crate::time::Timestamp;

/// The nodes of a fleet: which pods share one, and how much goes on at once on each.
///
/// Whoever asks first is served first; of pods that ask at the same instant, the one with the lower
/// number. An image that one pod has pulled is there for all pods of the node: with
/// `imagePullPolicy: IfNotPresent` it is not pulled again, and otherwise its pull waits for its
/// turn, but takes no time. Pulls of one image that go on at the same time do not help each other.
///
/// Source: `EnsureImageExists` (`pkg/kubelet/images/image_manager.go`), `serialImagePuller` and
/// `parallelImagePuller` (`puller.go`), v1.36.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Nodes {
    /// How many pods are on each node: pod `n` is on node `n / pods_per_node`.
    pub pods_per_node: NonZeroU64,
    /// How many images are pulled at once on a node, the `maxParallelImagePulls` of the kubelet's
    /// configuration; one at a time is its `serializeImagePulls: true`. `None`: all that are asked
    /// for.
    pub max_parallel_image_pulls: Option<NonZeroU32>,
    /// How many containers are started at once on a node: a limit of the container runtime or of
    /// the disk, not of the kubelet. `None`: all that are asked for.
    pub max_parallel_container_starts: Option<NonZeroU32>,
}

impl Nodes {
    /// Nodes with the kubelet's defaults, which pull one image at a time.
    pub const fn new(pods_per_node: NonZeroU64) -> Self {
        Self {
            pods_per_node,
            max_parallel_image_pulls: Some(NonZeroU32::MIN),
            max_parallel_container_starts: None,
        }
    }

    /// The same, with at most this many pulls at once; `None`: no limit.
    #[must_use]
    pub const fn max_parallel_image_pulls(self, most: Option<NonZeroU32>) -> Self {
        Self { max_parallel_image_pulls: most, ..self }
    }

    /// The same, with at most this many starts at once; `None`: no limit.
    #[must_use]
    pub const fn max_parallel_container_starts(self, most: Option<NonZeroU32>) -> Self {
        Self { max_parallel_container_starts: most, ..self }
    }
}

/// A pod that waits for nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Alone {
    /// Do its pulls take any time?
    has_timed_pulls: bool,
    images: Vec<SmolStr>,
}

impl Alone {
    pub(super) fn begin(&mut self, has_timed_pulls: bool) {
        self.has_timed_pulls = has_timed_pulls;
        self.images.clear();
    }
}

impl Node for Alone {
    fn pull(&mut self, container: &Container, at: Timestamp, pull: Pull) -> Timestamp {
        if !self.has_timed_pulls || self.images.contains(container.image()) {
            return at;
        }
        if !pull.fails {
            self.images.push(container.image().clone());
        }
        at + pull.lasts
    }

    fn start(&mut self, at: Timestamp, lasts: Duration) -> Timestamp {
        at + lasts
    }
}

/// How many things go on at once.
#[derive(Clone, Debug)]
struct Turns {
    most: Option<NonZeroU32>,
    /// When those that go on end; no more than `most`.
    ends: BinaryHeap<Reverse<Timestamp>>,
    waited: Distribution,
}

impl Turns {
    fn new(most: Option<NonZeroU32>) -> Self {
        Self { most, ends: BinaryHeap::new(), waited: Distribution::default() }
    }

    /// When it is the turn of somebody who asks at `at`, and not earlier than all before.
    fn next(&mut self, at: Timestamp) -> Timestamp {
        let Some(most) = self.most else { return at };
        let taken = self.ends.len() >= most.get() as usize;
        let free = if taken { self.ends.pop() } else { None };
        let turn = free.map_or(at, |Reverse(end)| end.max(at));
        self.waited.record(turn.saturating_duration_since(at));
        turn
    }

    /// Whoever had its turn is served at `end`.
    fn serve(&mut self, end: Timestamp) -> Timestamp {
        if self.most.is_some() {
            self.ends.push(Reverse(end));
        }
        end
    }
}

/// A node whose pods are asked in the order of time.
#[derive(Clone, Debug)]
pub(super) struct SharedNode {
    pulls: Turns,
    starts: Turns,
    /// The images, and from when on each is there.
    images: Vec<(SmolStr, Timestamp)>,
}

impl SharedNode {
    pub(super) fn new(nodes: Nodes) -> Self {
        Self {
            pulls: Turns::new(nodes.max_parallel_image_pulls),
            starts: Turns::new(nodes.max_parallel_container_starts),
            images: Vec::new(),
        }
    }

    /// Another node: nothing goes on, and no image is there.
    pub(super) fn begin(&mut self) {
        self.pulls.ends.clear();
        self.starts.ends.clear();
        self.images.clear();
    }

    fn is_present(&self, container: &Container, at: Timestamp) -> bool {
        self.images.iter().any(|(image, since)| image == container.image() && *since <= at)
    }

    fn will_have(&mut self, container: &Container, at: Timestamp) {
        match self.images.iter_mut().find(|(image, _)| image == container.image()) {
            Some((_, since)) => *since = at.min(*since),
            None => self.images.push((container.image().clone(), at)),
        }
    }

    /// How long pulls and starts have waited on all nodes so far.
    pub(super) fn take_waited(&mut self) -> (Distribution, Distribution) {
        (core::mem::take(&mut self.pulls.waited), core::mem::take(&mut self.starts.waited))
    }
}

impl Node for SharedNode {
    fn pull(&mut self, container: &Container, at: Timestamp, pull: Pull) -> Timestamp {
        let always = container.image_pull_policy() == ImagePullPolicy::Always;
        if !always && self.is_present(container, at) {
            return at;
        }
        let turn = self.pulls.next(at);
        let takes_time = !self.is_present(container, turn);
        let end = if takes_time { turn + pull.lasts } else { turn };
        if takes_time && !pull.fails {
            self.will_have(container, end);
        }
        self.pulls.serve(end)
    }

    fn start(&mut self, at: Timestamp, lasts: Duration) -> Timestamp {
        let turn = self.starts.next(at);
        self.starts.serve(turn + lasts)
    }
}
