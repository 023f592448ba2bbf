//! Shows how far a download or an extraction is: a bar on a terminal, a line a file elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use retune_data::hub::Progress;

/// Reports on standard error.
#[derive(Default)]
pub(crate) struct Bar {
    now: Mutex<Option<(String, ProgressBar)>>,
}

impl Progress for Bar {
    fn started(&self, file: &str, total: Option<u64>, already: u64) {
        let Ok(mut now) = self.now.lock() else { return };
        let again = now.take().is_some_and(|(name, bar)| {
            bar.finish_and_clear();
            name == file
        });
        if !stderr().is_terminal() && !again {
            let size = total.map_or(String::new(), |total| format!(", {}", HumanBytes(total)));
            eprintln!("  {file}{size}");
        }
        let bar = match total {
            Some(total) => ProgressBar::new(total)
                .with_style(style("  {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")),
            None => ProgressBar::new_spinner().with_style(style("  {spinner} {msg} {bytes}")),
        };
        bar.set_message(file.to_owned());
        bar.set_position(already);
        // The speed shown is that of this run.
        bar.reset_eta();
        *now = Some((file.to_owned(), bar));
    }

    fn advanced(&self, bytes: u64) {
        if let Ok(now) = self.now.lock()
            && let Some((_, bar)) = &*now
        {
            bar.inc(bytes);
        }
    }

    fn finished(&self) {
        if let Ok(mut now) = self.now.lock()
            && let Some((_, bar)) = now.take()
        {
            bar.finish();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
