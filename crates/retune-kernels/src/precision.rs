//! In which number formats a run computes, and how fast this processor is in each.

use crate::{KernelError, device, random, shim};
use std::time::Instant;
use tch::{Device, Kind, Tensor, no_grad};

/// Compute precision. Master weights, norms, softmax statistics and losses are fp32 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Single precision throughout.
    Fp32,
    /// bfloat16 matrix products and activations.
    Bf16,
}

impl Precision {
    /// dtype of the weights the forward pass reads.
    pub fn kind(self) -> Kind {
        match self {
            Self::Fp32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }

    /// `fp32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }

    /// From the flag: `auto` takes bf16 where the device multiplies it natively. Not by timing, which another program
    /// can disturb: the same machine must choose the same precision twice.
    pub fn from_flag(flag: &str, device: Device) -> Result<Self, KernelError> {
        match flag {
            "fp32" => Ok(Self::Fp32),
            "bf16" => Ok(Self::Bf16),
            "auto" if device != Device::Cpu || cpu_multiplies_bf16() => Ok(Self::Bf16),
            "auto" => Ok(Self::Fp32),
            other => Err(KernelError::Unknown {
                what: "precision",
                name: other.to_owned(),
                known: "auto, fp32, bf16 (fp16 needs a loss scaler, which is not there yet)",
            }),
        }
    }
}

fn cpu_multiplies_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// Measured matrix-product speeds, FLOP/s.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
    /// Best exact fp32 path, now switched on.
    pub fp32: f64,
    /// bf16.
    pub bf16: f64,
    /// Whether the exact fp32 path is oneDNN rather than libtorch's default.
    pub onednn_fp32: bool,
}

impl Ceilings {
    /// The ceiling for a precision.
    pub fn of(&self, precision: Precision) -> f64 {
        match precision {
            Precision::Fp32 => self.fp32,
            Precision::Bf16 => self.bf16,
        }
    }
}

/// Times `[n, n] × [n, n]` and returns FLOP/s of the best of `rounds`.
fn speed(n: i64, kind: Kind, device: Device, rounds: usize) -> f64 {
    let a = match device {
        Device::Cpu => Tensor::from_slice(&random::normal(1, (n * n) as usize)).reshape([n, n]),
        _ => Tensor::randn([n, n], (Kind::Float, device)),
    };
    let a = a.to_kind(kind);
    let b = a.tr().contiguous();
    let wait = || {
        if let Device::Cuda(index) = device {
            tch::Cuda::synchronize(index as i64);
        }
    };
    let _ = a.linear(&b, None::<&Tensor>);
    wait();
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        let _ = a.linear(&b, None::<&Tensor>);
        wait();
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (n * n * n) as f64 / best
}

/// Relative error of an fp32 product against fp64.
fn fp32_error(device: Device) -> f64 {
    // The size that is timed: a library may choose another path for smaller products.
    let n = 512;
    let a = Tensor::from_slice(&random::normal(2, n * n)).reshape([n as i64, n as i64]);
    let exact = a.to_kind(Kind::Double).matmul(&a.to_kind(Kind::Double));
    let a = a.to_device(device);
    let got = a.linear(&a.tr().contiguous(), None::<&Tensor>).to_device(Device::Cpu).to_kind(Kind::Double);
    let norm = |t: &Tensor| t.square().sum(Kind::Double).sqrt().double_value(&[]);
    norm(&(got - &exact)) / norm(&exact)
}

/// Switches oneDNN's fp32 products on where they are exact, and measures both ceilings.
///
/// Chosen by its error and not by processor name: the same switch that doubles fp32 speed on one processor makes
/// another one compute in bf16.
pub fn probe(device: Device) -> Result<Ceilings, KernelError> {
    no_grad(|| {
        // As large as it takes to fill the device.
        let (n, rounds) = if device == Device::Cpu { (512, 4) } else { (8192, 8) };
        shim::set_float32_matmul_precision("highest")?;
        let mut fp32 = speed(n, Kind::Float, device, rounds);
        let mut onednn_fp32 = false;
        if device == Device::Cpu {
            shim::set_float32_matmul_precision("medium")?;
            // By exactness alone: a choice by timing could differ between a run and its resumption.
            if fp32_error(device) < 2e-6 {
                (fp32, onednn_fp32) = (speed(n, Kind::Float, device, rounds), true);
            } else {
                shim::set_float32_matmul_precision("highest")?;
            }
        }
        let bf16 = speed(n, Kind::BFloat16, device, rounds);
        device::forget_peak(device)?;
        Ok(Ceilings { fp32, bf16, onednn_fp32 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_probe_chooses_is_exact() {
        let ceilings = probe(Device::Cpu).unwrap();
        assert!(ceilings.fp32 > 0.0 && ceilings.bf16 > 0.0);
        assert!(fp32_error(Device::Cpu) < 2e-6);
        assert!(Precision::from_flag("fp16", Device::Cpu).is_err());
    }
}
