//! A report: one page that needs nothing from elsewhere.

use maud::{DOCTYPE, PreEscaped, html as markup};

use super::chart::Chart;
use super::svg::svg;

/// What a report says of a pod.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// What it looked like.
    pub chart: &'a Chart,
    /// What was done, and why.
    pub table: &'a str,
    /// The pod.
    pub manifest: String,
}

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1rem; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8884; border-radius: 6px; }
h2 { margin-top: 2rem; }";

/// The page.
pub fn html(sections: &[Section<'_>]) -> String {
    let title = sections.iter().map(|section| section.chart.pod.as_str()).collect::<Vec<_>>();
    let title = title.join(", ");
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                @for section in sections {
                    section {
                        h2 { (section.chart.pod) }
                        (PreEscaped(svg(&[section.chart]).to_string()))
                        h3 { "What is done, and why" }
                        pre { (section.table) }
                        details {
                            summary { "Manifest" }
                            pre { (section.manifest) }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}
