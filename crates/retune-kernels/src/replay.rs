//! Running a part of a forward pass again, for its gradients: the same dropout masks, and nothing that a pass writes is
//! written twice.

use crate::dropout::{self, Place};
use std::cell::Cell;

thread_local! {
    static REPLAYING: Cell<bool> = const { Cell::new(false) };
}

/// The beginning of a part of a forward pass of this thread.
#[derive(Debug, Clone, Copy)]
pub struct Part(Place);

impl Part {
    /// Marks where a part begins that will be run again.
    pub fn begin() -> Self {
        Self(dropout::begin_part())
    }

    /// Runs it again: dropout draws what it drew the first time, and running statistics stay as they are.
    pub fn replay<T>(self, forward: impl FnOnce() -> T) -> T {
        /// A panic that is caught must not leave the thread replaying.
        struct Ends;
        impl Drop for Ends {
            fn drop(&mut self) {
                REPLAYING.set(false);
            }
        }
        dropout::resume(self.0);
        REPLAYING.set(true);
        let _ends = Ends;
        forward()
    }
}

/// Whether this thread computes something a second time.
pub(crate) fn is_on() -> bool {
    REPLAYING.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dropout::{dropout, set_stream};
    use crate::fused::testing::test_device;
    use tch::{Kind, Tensor};

    #[test]
    fn masks_come_again_and_parts_have_their_own() {
        let x = Tensor::ones([40, 50], (Kind::Float, test_device()));
        set_stream(9);
        let (first, a) = (Part::begin(), dropout(&x, 0.3, true));
        let (second, b) = (Part::begin(), dropout(&x, 0.3, true));
        assert_ne!(a, b);
        assert_eq!(second.replay(|| dropout(&x, 0.3, true)), b);
        assert_eq!(first.replay(|| dropout(&x, 0.3, true)), a);
        assert!(!is_on());
    }
}
