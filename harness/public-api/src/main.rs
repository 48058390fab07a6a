//! Lists the public API of a crate, from the JSON that rustdoc writes.

use std::path::PathBuf;
use std::process::ExitCode;

use public_api::Builder;

fn main() -> ExitCode {
    let Some(json) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: public-api-listing RUSTDOC.json");
        return ExitCode::from(2);
    };
    let listing = Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match listing {
        Ok(listing) => {
            println!("{listing}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("public-api-listing: {}: {why}", json.display());
            ExitCode::FAILURE
        }
    }
}
