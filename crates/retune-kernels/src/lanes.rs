//! Lanes: batches side by side, each from end to end on its own share of the compute threads.
//!
//! Threads that share every operation wait for each other after each of them, and each works on what another one's cache
//! holds. Lanes meet once, at the end. For passes without a graph: in training they saved
//! nothing (benches/NOTES.md).

use crate::shim;
use std::sync::{Mutex, PoisonError};
use tch::Device;

/// However many threads there are: each lane reads all weights, and holds the activations of its batch.
const LANES: usize = 2;

/// Threads that run lanes; none on a GPU, or where the compute threads cannot be shared out evenly.
#[derive(Debug)]
pub struct Lanes(Option<rayon::ThreadPool>);

impl Lanes {
    /// Lanes of `threads` compute threads in all.
    pub fn new(threads: usize, device: Device) -> Self {
        let share = threads / LANES;
        if device != Device::Cpu || share == 0 || !threads.is_multiple_of(LANES) {
            return Self::none();
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(LANES)
            .thread_name(|lane| format!("lane-{lane}"))
            .start_handler(move |_| shim::share_threads(share as i64).expect("a number of threads"))
            .build();
        Self(pool.ok()) // where the system gives no more threads, one after the other
    }

    /// Everything on the calling thread and its team.
    pub fn none() -> Self {
        Self(None)
    }

    /// How many items [`Self::map`] works on at once.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |_| LANES)
    }

    /// `f` of each item, in their order. A single item is left to the calling thread with all compute threads.
    ///
    /// Lanes do not have the caller's thread-local state (gradients off, the stream of dropout masks): `f` sets its own.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
        let pool = match &self.0 {
            Some(pool) if items.len() > 1 => pool,
            _ => return items.into_iter().map(f).collect(),
        };
        let queue = Mutex::new(items.into_iter().enumerate());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        // Not a parallel iterator: work that `f` hands to rayon must not make it begin with another item.
        let work = |_: rayon::BroadcastContext<'_>| {
            std::iter::from_fn(next).map(|(index, item)| (index, f(item))).collect::<Vec<_>>()
        };
        let mut results: Vec<(usize, R)> = pool.broadcast(work).into_iter().flatten().collect();
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn items_keep_their_order_and_are_worked_on_at_once() {
        let lanes = Lanes::new(2, Device::Cpu);
        let met = Barrier::new(LANES);
        let answers = lanes.map((0..LANES).collect(), |item| {
            met.wait();
            (item * 10, thread::current().id(), tch::get_num_threads())
        });
        assert_eq!(answers.iter().map(|a| a.0).collect::<Vec<_>>(), [0, 10]);
        assert!(answers.iter().all(|a| a.2 == 1), "each lane has one of two threads");
        assert_eq!(answers.iter().map(|a| a.1).collect::<HashSet<_>>().len(), LANES);
        assert_eq!(lanes.map((0..50).collect(), |item| item * 2), (0..100).step_by(2).collect::<Vec<i32>>());
    }

    #[test]
    fn one_item_has_the_calling_thread() {
        let here = thread::current().id();
        assert_eq!(Lanes::new(4, Device::Cpu).map(vec![()], |()| thread::current().id()), [here]);
        for lanes in [Lanes::new(1, Device::Cpu), Lanes::new(3, Device::Cpu), Lanes::new(4, Device::Cuda(0))] {
            assert_eq!(lanes.count(), 1);
            assert_eq!(lanes.map(vec![(); 3], |()| thread::current().id()), [here; 3]);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let lanes = Lanes::new(2, Device::Cpu);
        let broken = || lanes.map(vec![1, 2, 3], |item| assert_ne!(item, 2));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(broken)).is_err());
        assert_eq!(lanes.map(vec![1, 2, 3], |item| item), [1, 2, 3], "lanes go on");
    }
}
