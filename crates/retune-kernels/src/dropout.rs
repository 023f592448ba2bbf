//! Inverted dropout (Srivastava et al. 2014) with masks that are a pure function of (seed, step, call, element).
//!
//! A training step calls [`set_stream`] first; the n-th dropout of the step then draws the n-th mask of that stream,
//! so a resumed run drops exactly what the uninterrupted one would have. On a GPU, where no fused kernel draws the mask,
//! libtorch does, from a generator that the stream seeds.

use crate::{random, shim};
use std::cell::Cell;
use tch::{Device, Kind, Tensor};

thread_local! {
    static STREAM: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// How many parts of the forward pass were marked off.
    static PART: Cell<u64> = const { Cell::new(0) };
    /// Whether libtorch's generators follow the stream.
    static SEEDED: Cell<bool> = const { Cell::new(false) };
}

/// Starts the stream of masks for one forward pass of this thread.
pub fn set_stream(seed: u64) {
    resume(Place { stream: (seed, 0), part: 0 });
}

/// A place in the stream, from which a part of the forward pass can be run again with the same masks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    stream: (u64, u64),
    part: u64,
}

/// Begins a part of the forward pass that may be run again.
pub(crate) fn begin_part() -> Place {
    let place = Place { stream: STREAM.get(), part: PART.get() + 1 };
    resume(place);
    place
}

/// Goes on from `place`.
pub(crate) fn resume(place: Place) {
    STREAM.set(place.stream);
    PART.set(place.part);
    SEEDED.set(false);
}

/// The key of the next mask of the stream; also of other random numbers that a training step draws.
pub fn next_seed() -> u64 {
    let (seed, call) = STREAM.get();
    STREAM.set((seed, call + 1));
    random::mix(&[seed, call])
}

/// Lets libtorch's generators follow the stream: the first of its operations on a GPU that draw numbers seeds them.
pub(crate) fn seed_device() {
    if !SEEDED.replace(true) {
        let (seed, part) = (STREAM.get().0, PART.get());
        tch::manual_seed(if part == 0 { seed } else { random::mix(&[seed, part]) } as i64);
    }
}

/// Zeroes elements with probability `p` and scales the others by 1/(1-p); the identity unless `train`.
///
/// # Panics
/// On a probability outside [0, 1), as every libtorch operation does on unusable arguments.
pub fn dropout(x: &Tensor, p: f64, train: bool) -> Tensor {
    if !train || p == 0.0 {
        return x.shallow_clone();
    }
    assert!((0.0..1.0).contains(&p), "dropout probability {p} is outside [0, 1)");
    if x.device() != Device::Cpu {
        seed_device();
        return x.dropout(p, train);
    }
    let seed = next_seed();
    match x.kind() {
        Kind::Float | Kind::BFloat16 => shim::dropout(x, p, seed as i64).expect("a float tensor"),
        kind => x * shim::dropout(&x.ones_like().to_kind(Kind::Float), p, seed as i64).expect("floats").to_kind(kind),
    }
}

/// The mask the kernel draws, written plainly: whether element `index` is kept.
pub fn reference_keep(seed: u64, index: u32, p: f64) -> bool {
    let (low, high) = (seed as u32, (seed >> 32) as u32);
    let round = |mut x: u32| {
        x = x.wrapping_mul(0x21f0_aaad);
        x ^= x >> 15;
        x = x.wrapping_mul(0xd35a_2d97);
        x ^ (x >> 15)
    };
    let x = index.wrapping_add(low);
    let x = round(x ^ (x >> 16)) ^ high;
    round(x) >= (p * 4_294_967_296.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::test_device;

    #[test]
    fn kernel_equals_reference_forward_and_backward() {
        test_device();
        for kind in [Kind::Float, Kind::BFloat16] {
            let (n, p) = (40_000i64, 0.1);
            let x = Tensor::ones([n], (kind, Device::Cpu)).set_requires_grad(true);
            let y = shim::dropout(&x, p, 0x1234_5678_9abc_def0).unwrap();
            y.sum(Kind::Float).backward();
            let scale = f64::from(if kind == Kind::Float { 1.0f32 / 0.9 } else { 1.109_375 });
            let (values, gradients) = (y.to_kind(Kind::Double), x.grad().to_kind(Kind::Double));
            let values = Vec::<f64>::try_from(values).unwrap();
            let gradients = Vec::<f64>::try_from(gradients).unwrap();
            for i in 0..n as usize {
                let expected = if reference_keep(0x1234_5678_9abc_def0, i as u32, p) { scale } else { 0.0 };
                assert!((values[i] - expected).abs() < 1e-6, "{kind:?} {i}: {} {expected}", values[i]);
                assert!((gradients[i] - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn rate_is_p_and_streams_differ() {
        let x = Tensor::ones([1_000_000], (Kind::Float, Device::Cpu));
        set_stream(3);
        let (a, b) = (dropout(&x, 0.3, true), dropout(&x, 0.3, true));
        set_stream(3);
        let again = dropout(&x, 0.3, true);
        assert_eq!(a, again);
        let dropped = a.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        assert!((dropped - 0.3).abs() < 2e-3, "{dropped}");
        let both = (a.eq(0.0).logical_and(&b.eq(0.0))).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        assert!((both - 0.09).abs() < 2e-3, "masks of two calls are not independent: {both}");
        assert_eq!(dropout(&x, 0.3, false), x);
    }
}
