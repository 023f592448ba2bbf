//! Learning-rate schedules as pure functions of the step (transformers `optimization.py`).

use crate::KernelError;

/// How the learning rate moves after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Down to zero in a straight line.
    Linear,
    /// Down to zero along half a cosine.
    Cosine,
    /// Stays.
    Constant,
}

/// Warm-up, then a shape.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    shape: Shape,
    base: f64,
    warmup_steps: u64,
    total_steps: u64,
}

impl Schedule {
    /// `name`: `linear`, `cosine` or `constant`. `warmup` below 1 is a share of all steps (rounded up, as in
    /// Hugging Face), otherwise a number of steps.
    pub fn new(name: &str, base: f64, warmup: f64, total_steps: u64) -> Result<Self, KernelError> {
        let shape = match name {
            "linear" => Shape::Linear,
            "cosine" => Shape::Cosine,
            "constant" | "constant_with_warmup" => Shape::Constant,
            other => {
                return Err(KernelError::Unknown {
                    what: "schedule",
                    name: other.to_owned(),
                    known: "linear, cosine, constant",
                });
            }
        };
        let warmup_steps = if warmup < 1.0 { (warmup * total_steps as f64).ceil() } else { warmup } as u64;
        Ok(Self { shape, base, warmup_steps, total_steps })
    }

    /// Learning rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.base * step as f64 / self.warmup_steps.max(1) as f64;
        }
        let left = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let done = (step - self.warmup_steps) as f64 / left;
        self.base
            * match self.shape {
                Shape::Linear => (1.0 - done).max(0.0),
                Shape::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * done).cos())).max(0.0),
                Shape::Constant => 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_rises_then_falls_to_zero() {
        let schedule = Schedule::new("linear", 1.0, 2.0, 10).unwrap();
        assert_eq!([0, 1, 2, 6, 10].map(|step| schedule.at(step)), [0.0, 0.5, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn shares_are_rounded_up() {
        let schedule = Schedule::new("cosine", 2.0, 0.06, 50).unwrap();
        assert_eq!(schedule.warmup_steps, 3);
        assert_eq!(schedule.at(3), 2.0);
        assert!(schedule.at(50).abs() < 1e-12);
        assert_eq!(Schedule::new("constant", 2.0, 0.0, 5).unwrap().at(4), 2.0);
    }
}
