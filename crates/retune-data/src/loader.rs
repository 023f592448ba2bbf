//! Threads that prepare batches ahead of the training loop: in order, bounded, stopped by dropping.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::{Batch, DataError, Dataset, Pass};

type Plan = Box<dyn Iterator<Item = (Vec<usize>, Option<Pass>)> + Send>;

struct State {
    plan: Plan,
    /// Number of batches handed to threads so far.
    started: usize,
    /// Number of batches the consumer has taken.
    taken: usize,
    ready: BTreeMap<usize, Result<Batch, DataError>>,
    exhausted: bool,
    stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    room: Condvar,
    arrival: Condvar,
    ahead: usize,
}

impl Shared {
    /// No code that can panic runs while the lock is held, except the caller's iterator.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An iterator over prepared batches, in the order of the plan, whatever the number of threads.
///
/// At most `ahead` batches wait or are being made, so memory is bounded. An error (or a panic of
/// the dataset, as [`DataError::Worker`]) arrives in the place of its batch. Dropping the loader
/// lets running batches finish, starts no new one and joins the threads.
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts `threads` threads (at least one) that keep `ahead` batches (at least one) prepared.
    pub fn new(
        dataset: Arc<dyn Dataset>,
        batches: impl Iterator<Item = (Vec<usize>, Option<Pass>)> + Send + 'static,
        threads: usize,
        ahead: usize,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                plan: Box::new(batches),
                started: 0,
                taken: 0,
                ready: BTreeMap::new(),
                exhausted: false,
                stopped: false,
            }),
            room: Condvar::new(),
            arrival: Condvar::new(),
            ahead: ahead.max(1),
        });
        let threads = (0..threads.max(1))
            .map(|_| {
                let (shared, dataset) = (Arc::clone(&shared), Arc::clone(&dataset));
                std::thread::spawn(move || work(&shared, dataset.as_ref()))
            })
            .collect();
        Self { shared, threads }
    }
}

fn work(shared: &Shared, dataset: &dyn Dataset) {
    loop {
        let (index, rows, pass) = {
            let mut state = shared.lock();
            while !state.stopped && !state.exhausted && state.started >= state.taken + shared.ahead {
                state = shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped || state.exhausted {
                return;
            }
            // The iterator is the caller's: if it panics, the consumer must not wait for ever.
            match catch_unwind(AssertUnwindSafe(|| state.plan.next())) {
                Ok(Some((rows, pass))) => {
                    state.started += 1;
                    (state.started - 1, rows, pass)
                }
                Ok(None) => {
                    state.exhausted = true;
                    shared.room.notify_all();
                    shared.arrival.notify_all();
                    return;
                }
                Err(panic) => {
                    let index = state.started;
                    state.started += 1;
                    state.exhausted = true;
                    state.ready.insert(index, Err(worker_error(panic.as_ref())));
                    shared.room.notify_all();
                    shared.arrival.notify_all();
                    return;
                }
            }
        };
        let result = catch_unwind(AssertUnwindSafe(|| dataset.batch(&rows, pass)))
            .unwrap_or_else(|panic| Err(worker_error(panic.as_ref())));
        shared.lock().ready.insert(index, result);
        shared.arrival.notify_all();
    }
}

fn worker_error(panic: &(dyn std::any::Any + Send)) -> DataError {
    let message = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned());
    DataError::Worker { message }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.lock();
        loop {
            let wanted = state.taken;
            if let Some(result) = state.ready.remove(&wanted) {
                state.taken += 1;
                self.shared.room.notify_one();
                return Some(result);
            }
            if state.exhausted && state.taken == state.started {
                return None;
            }
            state = self.shared.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            // A thread catches its own panics; there is nothing left to report here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Fake {
        made: AtomicUsize,
    }

    impl Dataset for Fake {
        fn len(&self) -> usize {
            1000
        }
        fn length(&self, row: usize) -> usize {
            row
        }
        fn batch(&self, rows: &[usize], _pass: Option<Pass>) -> Result<Batch, DataError> {
            self.made.fetch_add(1, Ordering::SeqCst);
            // Later rows are faster, so that order is not an accident of timing.
            std::thread::sleep(Duration::from_micros(300u64.saturating_sub(rows[0] as u64)));
            assert!(rows[0] != 77, "row 77 is cursed");
            if rows[0] == 50 {
                return Err(DataError::Split { message: "row 50".into() });
            }
            Ok(Batch { rows: rows.to_vec(), ..Batch::default() })
        }
        fn source(&self, _row: usize) -> Result<Source, DataError> {
            Err(DataError::Split { message: "not used".into() })
        }
    }

    #[test]
    fn batches_and_errors_come_in_order() {
        for (threads, ahead) in [(0, 0), (1, 1), (4, 2), (3, 16)] {
            let loader = Loader::new(Arc::new(Fake::default()), (0..120).map(|row| (vec![row], None)), threads, ahead);
            let results: Vec<_> = loader.collect();
            assert_eq!(results.len(), 120);
            for (row, result) in results.into_iter().enumerate() {
                match result {
                    Ok(batch) => assert_eq!(batch.rows, [row]),
                    Err(DataError::Worker { message }) => {
                        assert!(row == 77 && message.contains("cursed"))
                    }
                    Err(other) => assert!(row == 50 && other.to_string().contains("row 50")),
                }
            }
        }
    }

    #[test]
    fn work_is_bounded_and_dropping_stops_an_endless_plan() {
        let dataset = Arc::new(Fake::default());
        let mut loader =
            Loader::new(Arc::clone(&dataset) as Arc<dyn Dataset>, std::iter::repeat((vec![3], None)), 4, 5);
        for _ in 0..10 {
            assert!(loader.next().is_some_and(|result| result.is_ok()));
        }
        std::thread::sleep(Duration::from_millis(30));
        assert!(dataset.made.load(Ordering::SeqCst) <= 15);
        drop(loader);
        let made = dataset.made.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(dataset.made.load(Ordering::SeqCst), made);
    }

    #[test]
    fn a_panicking_plan_ends_with_an_error() {
        let plan = (0..5).map(|row| {
            assert!(row < 3, "plan broke");
            (vec![row], None)
        });
        let results: Vec<_> = Loader::new(Arc::new(Fake::default()), plan, 2, 2).collect();
        assert_eq!(results.len(), 4);
        assert!(matches!(&results[3], Err(DataError::Worker { message }) if message.contains("plan broke")));
    }
}
