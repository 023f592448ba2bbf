//! Activation functions by their names in `config.json` (transformers `ACT2FN`), each written once.

use crate::KernelError;
use tch::Tensor;

/// Element-wise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Gaussian error linear unit through erf (Hendrycks & Gimpel 2016): `gelu`.
    Gelu,
    /// Its tanh approximation: `gelu_new`, `gelu_fast`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// `relu`.
    Relu,
    /// `silu`, also called `swish`.
    Silu,
    /// `x · sigmoid(1.702 x)`, another approximation of the Gaussian one: `quick_gelu`.
    QuickGelu,
    /// `tanh`.
    Tanh,
    /// `sigmoid`.
    Sigmoid,
    /// The square of `relu` (So et al. 2021): `relu2`.
    SquaredRelu,
    /// `relu`, but 6 at most: `relu6`.
    Relu6,
    /// `relu` with a hundredth of what is below 0: `leaky_relu`.
    LeakyRelu,
    /// `x · relu6(x + 3) / 6` (Howard et al. 2019): `hardswish`.
    HardSwish,
    /// `x · tanh(ln(1 + eˣ))` (Misra 2019): `mish`.
    Mish,
    /// The identity: `linear`.
    Identity,
}

impl Activation {
    /// From the name used in `config.json`.
    pub fn from_name(name: &str) -> Result<Self, KernelError> {
        Ok(match name {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh" | "gelu_python_tanh" => Self::GeluTanh,
            "quick_gelu" => Self::QuickGelu,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            "tanh" => Self::Tanh,
            "sigmoid" => Self::Sigmoid,
            "relu2" => Self::SquaredRelu,
            "relu6" => Self::Relu6,
            "leaky_relu" => Self::LeakyRelu,
            "hardswish" => Self::HardSwish,
            "mish" => Self::Mish,
            "linear" => Self::Identity,
            other => {
                return Err(KernelError::Unknown {
                    what: "activation",
                    name: other.to_owned(),
                    known: "gelu, gelu_python, gelu_new, gelu_fast, gelu_accurate, gelu_pytorch_tanh, gelu_python_tanh, \
                            quick_gelu, relu, relu2, relu6, leaky_relu, silu, swish, hardswish, mish, tanh, sigmoid, linear",
                });
            }
        })
    }

    /// Same shape and dtype as `x`.
    pub fn forward(self, x: &Tensor) -> Tensor {
        match self {
            Self::Gelu => x.gelu("none"),
            Self::GeluTanh => x.gelu("tanh"),
            Self::Relu => x.relu(),
            Self::Silu => x.silu(),
            Self::QuickGelu => x * (x * 1.702).sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => x.sigmoid(),
            Self::SquaredRelu => x.relu().square(),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::LeakyRelu => x.leaky_relu(),
            Self::HardSwish => x.hardswish(),
            Self::Mish => x.mish(),
            Self::Identity => x.shallow_clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    /// Values of transformers' `ACT2FN` at -2, -0.5, 0, 1 and 3.
    #[test]
    fn names_mean_what_transformers_means() {
        let x = Tensor::from_slice(&[-2.0f64, -0.5, 0.0, 1.0, 3.0]);
        for (names, expected) in [
            (&["gelu", "gelu_python"][..], GELU),
            (&["gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"], GELU_TANH),
            (&["quick_gelu"], QUICK_GELU),
            (&["silu", "swish"], SILU),
            (&["relu"], [0.0, 0.0, 0.0, 1.0, 3.0]),
            (&["linear"], [-2.0, -0.5, 0.0, 1.0, 3.0]),
        ] {
            for name in names {
                let found = Activation::from_name(name).unwrap().forward(&x);
                let worst = (found - Tensor::from_slice(&expected)).abs().max().to_kind(Kind::Double).double_value(&[]);
                assert!(worst < 1e-6, "{name}: {worst}");
            }
        }
        let error = Activation::from_name("prelu").unwrap_err().to_string();
        assert!(error.contains("prelu") && error.contains("quick_gelu"), "{error}");
    }

    #[test]
    fn others_are_what_their_formulas_say() {
        type Formula = fn(f64) -> f64;
        let formulas: [(&str, Formula); 7] = [
            ("tanh", f64::tanh),
            ("sigmoid", |x| 1.0 / (1.0 + (-x).exp())),
            ("relu2", |x| x.max(0.0).powi(2)),
            ("relu6", |x| x.clamp(0.0, 6.0)),
            ("leaky_relu", |x| if x < 0.0 { 0.01 * x } else { x }),
            ("hardswish", |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            ("mish", |x| x * x.exp().ln_1p().tanh()),
        ];
        let at: Vec<f64> = (-90..=90).map(|tenth| f64::from(tenth) / 10.0 + 0.03).collect();
        for (name, formula) in formulas {
            let x = Tensor::from_slice(&at).set_requires_grad(true);
            let y = Activation::from_name(name).unwrap().forward(&x);
            y.sum(Kind::Double).backward();
            let (y, slope) = (Vec::<f64>::try_from(&y).unwrap(), Vec::<f64>::try_from(x.grad()).unwrap());
            for ((&x, y), slope) in at.iter().zip(y).zip(slope) {
                assert!((y - formula(x)).abs() < 1e-9, "{name} at {x}: {y}");
                let expected = (formula(x + 1e-6) - formula(x - 1e-6)) / 2e-6;
                assert!((slope - expected).abs() < 1e-6, "{name} at {x}: slope {slope}, not {expected}");
            }
        }
    }

    const GELU: [f64; 5] = [-0.045500264, -0.154268769, 0.0, 0.841344746, 2.995950306];
    const GELU_TANH: [f64; 5] = [-0.045402306, -0.154285990, 0.0, 0.841191991, 2.996362608];
    const QUICK_GELU: [f64; 5] = [-0.064341377, -0.149611563, 0.0, 0.845795766, 2.981928690];
    const SILU: [f64; 5] = [-0.238405844, -0.188770334, 0.0, 0.731058579, 2.857722380];
}
