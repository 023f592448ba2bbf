//! Lets callbacks that are shared (downloads, tokenization) reach the observers.

use crate::observer::Observer;
use retune_data::hub::Progress;
use std::sync::Mutex;

/// Observers behind a lock.
pub(crate) struct Watch<'a, 'b> {
    observers: Mutex<&'a mut [&'b mut dyn Observer]>,
    /// File, bytes done, bytes in all (0 = not known).
    download: Mutex<(String, u64, u64)>,
}

impl<'a, 'b> Watch<'a, 'b> {
    pub(crate) fn new(observers: &'a mut [&'b mut dyn Observer]) -> Self {
        Self { observers: Mutex::new(observers), download: Mutex::default() }
    }

    pub(crate) fn progress(&self, what: &str, done: usize, all: usize) {
        if let Ok(mut observers) = self.observers.lock() {
            observers.iter_mut().for_each(|o| o.on_progress(what, done, all));
        }
    }

    pub(crate) fn message(&self, message: &str) {
        if let Ok(mut observers) = self.observers.lock() {
            observers.iter_mut().for_each(|o| o.on_message(message));
        }
    }

    pub(crate) fn into_inner(self) -> &'a mut [&'b mut dyn Observer] {
        self.observers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Progress for Watch<'_, '_> {
    fn started(&self, file: &str, total: Option<u64>, already: u64) {
        if let Ok(mut download) = self.download.lock() {
            *download = (file.to_owned(), already, total.unwrap_or(0));
        }
        self.advanced(0);
    }

    fn advanced(&self, bytes: u64) {
        if let Ok(mut download) = self.download.lock() {
            download.1 += bytes;
            let (file, done, total) = &*download;
            self.progress(&format!("downloading {file}"), *done as usize, *total as usize);
        }
    }

    fn finished(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<(String, usize, usize)>);
    impl Observer for Seen {
        fn on_progress(&mut self, what: &str, done: usize, total: usize) {
            self.0.push((what.to_owned(), done, total));
        }
    }

    #[test]
    fn downloads_advance() {
        let mut seen = Seen::default();
        let mut observers: [&mut dyn Observer; 1] = [&mut seen];
        let watch = Watch::new(&mut observers);
        watch.started("a.bin", Some(10), 4);
        watch.advanced(3);
        watch.advanced(3);
        watch.finished();
        watch.started("b.json", None, 0);
        watch.advanced(5);
        let row = |name: &str, done, total| (format!("downloading {name}"), done, total);
        let expected =
            [row("a.bin", 4, 10), row("a.bin", 7, 10), row("a.bin", 10, 10), row("b.json", 0, 0), row("b.json", 5, 0)];
        assert_eq!(seen.0, expected);
    }
}
