//! The page that lists what changed.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use podinit::KubernetesVersion;
use podinit::version::{Change, DecidedBy};

fn decided_by(by: DecidedBy) -> String {
    match by {
        DecidedBy::Gate(feature, value) => format!("gate `{feature}` {}", on_or_off(value)),
        DecidedBy::Bug(bug, there) => format!("known bug `{bug:?}` {}", on_or_off(there)),
        DecidedBy::Change(other) => format!("`{other:?}`"),
        _ => "version".to_owned(),
    }
}

fn on_or_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

fn page() -> String {
    let mut page = String::from(
        "# What changed between versions of Kubernetes\n\n\
         Each row is a `Change`; `FeatureGates::has` tells whether it is in force. Where a gate or a known bug\n\
         decides, setting it by hand switches the behaviour in any version that has it. The numbers are those of\n\
         pull requests and issues of kubernetes/kubernetes, as far as they are known.\n",
    );
    for version in KubernetesVersion::ALL {
        let mut rows = Change::ALL.iter().filter(|change| change.since() == version).peekable();
        if rows.peek().is_none() {
            continue;
        }
        writeln!(page, "\n## {version}\n\n| topic | what changed | decided by | numbers | name |")
            .unwrap();
        writeln!(page, "|---|---|---|---|---|").unwrap();
        for change in rows {
            let numbers: Vec<String> = change
                .references()
                .iter()
                .map(|number| {
                    format!("[{number}](https://github.com/kubernetes/kubernetes/issues/{number})")
                })
                .collect();
            writeln!(
                page,
                "| {:?} | {} | {} | {} | `{change:?}` |",
                change.topic(),
                change.text(),
                decided_by(change.decided_by()),
                numbers.join(", ")
            )
            .unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_changes_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/version-changes.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, page, "run this test with UPDATE_DOCS=1 and commit {}", path.display());
}
