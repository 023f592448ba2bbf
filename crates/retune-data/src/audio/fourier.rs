//! The discrete Fourier transform of real samples, of any length (Cooley & Tukey 1965; Stockham's order, without permutations).
//!
//! A library would do, but the generic ones are compiled anew into whatever uses them, every size of theirs, which took a fifth of
//! the time of building this crate; spectra of sounds need one size at a time.

use std::f64::consts::TAU;
use std::ops::{Add, Mul, Sub};

/// A complex number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn conjugate(self) -> Self {
        Self { im: -self.im, ..self }
    }

    /// Times −i.
    fn turned(self) -> Self {
        Self { re: self.im, im: -self.re }
    }

    fn scaled(self, by: f64) -> Self {
        Self { re: self.re * by, im: self.im * by }
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let (re, im) = (self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re);
        Self { re, im }
    }
}

/// e^(−2πi k/n) for k below n.
fn circle(n: usize) -> Vec<Complex> {
    let at = |k: usize| {
        let angle = -TAU * k as f64 / n as f64;
        Complex { re: angle.cos(), im: angle.sin() }
    };
    (0..n).map(at).collect()
}

/// A transform of one length; where that is even, two samples make one complex number of a transform of half the length.
#[derive(Debug)]
pub(super) struct Fourier {
    samples: usize,
    /// Of the complex transform.
    factors: Vec<usize>,
    circle: Vec<Complex>,
    /// Of all samples, where they are paired.
    unpairing: Option<Vec<Complex>>,
}

/// What transforms of one length write to, one after the other.
#[derive(Debug)]
pub(super) struct Scratch {
    from: Vec<Complex>,
    to: Vec<Complex>,
}

impl Fourier {
    /// Of so many samples, at least one.
    pub(super) fn new(samples: usize) -> Self {
        let pairs = samples.is_multiple_of(2);
        let length = if pairs { samples / 2 } else { samples };
        Self { samples, factors: factors(length), circle: circle(length), unpairing: pairs.then(|| circle(samples)) }
    }

    /// How many samples it takes.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// Room for one transform.
    pub(super) fn scratch(&self) -> Scratch {
        let empty = vec![Complex::default(); self.circle.len()];
        Scratch { from: empty.clone(), to: empty }
    }

    /// Squared magnitudes of the frequencies from 0 to half of the sampling rate, of exactly so many samples as it takes.
    pub(super) fn power(&self, samples: &[f64], Scratch { from, to }: &mut Scratch, power: &mut [f64]) {
        assert_eq!((samples.len(), power.len()), (self.samples, self.samples / 2 + 1), "a piece of another length");
        let Some(unpairing) = &self.unpairing else {
            from.iter_mut().zip(samples).for_each(|(x, &re)| *x = Complex { re, im: 0.0 });
            self.transform(from, to);
            power.iter_mut().zip(&*from).for_each(|(power, x)| *power = x.re * x.re + x.im * x.im);
            return;
        };
        from.iter_mut().zip(samples.chunks_exact(2)).for_each(|(x, pair)| *x = Complex { re: pair[0], im: pair[1] });
        self.transform(from, to);
        let length = from.len();
        for (k, power) in power.iter_mut().enumerate() {
            let (x, mirrored) = (from[k % length], from[(length - k) % length].conjugate());
            let even = (x + mirrored).scaled(0.5);
            let odd = (x - mirrored).scaled(0.5).turned();
            let value = even + odd * unpairing[k];
            *power = value.re * value.re + value.im * value.im;
        }
    }

    /// The result lies in `from` again.
    fn transform(&self, from: &mut Vec<Complex>, to: &mut Vec<Complex>) {
        let mut stride = 1;
        for &factor in &self.factors {
            self.stage(from, to, factor, stride);
            std::mem::swap(from, to);
            stride *= factor;
        }
    }

    /// `stride` transforms of the remaining length become `factor` times as many, shorter ones.
    fn stage(&self, from: &[Complex], to: &mut [Complex], factor: usize, stride: usize) {
        let length = from.len();
        let shorter = length / stride / factor;
        for p in 0..shorter {
            let twiddle = |u: usize| self.circle[stride * p * u];
            match factor {
                2 => {
                    let w = twiddle(1);
                    for q in 0..stride {
                        let [a, b] = [0, 1].map(|t| from[q + stride * (p + t * shorter)]);
                        let out = q + stride * 2 * p;
                        (to[out], to[out + stride]) = (a + b, (a - b) * w);
                    }
                }
                4 => {
                    let w = [1, 2, 3].map(twiddle);
                    for q in 0..stride {
                        let [a, b, c, d] = [0, 1, 2, 3].map(|t| from[q + stride * (p + t * shorter)]);
                        let (ac, bd, a_c, b_d) = (a + c, b + d, a - c, (b - d).turned());
                        let out = q + stride * 4 * p;
                        to[out] = ac + bd;
                        to[out + stride] = (a_c + b_d) * w[0];
                        to[out + 2 * stride] = (ac - bd) * w[1];
                        to[out + 3 * stride] = (a_c - b_d) * w[2];
                    }
                }
                _ => {
                    for u in 0..factor {
                        let w = twiddle(u);
                        for q in 0..stride {
                            let term = |t: usize| {
                                let turn = self.circle[length / factor * (t * u % factor)];
                                from[q + stride * (p + t * shorter)] * turn
                            };
                            let sum = (1..factor).map(term).fold(from[q + stride * p], Add::add);
                            to[q + stride * (factor * p + u)] = sum * w;
                        }
                    }
                }
            }
        }
    }
}

/// Fours first, then a two, then odd primes.
fn factors(mut length: usize) -> Vec<usize> {
    let mut all = Vec::new();
    let mut factor = 4;
    while length > 1 {
        if length.is_multiple_of(factor) {
            all.push(factor);
            length /= factor;
        } else {
            factor = match factor {
                4 => 2,
                2 => 3,
                odd if odd * odd > length => length,
                odd => odd + 2,
            };
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_what_the_sum_says() {
        for length in [1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 22, 25, 26, 49, 64, 91, 100, 128, 202, 243, 400, 512] {
            let samples: Vec<f64> = (0..length).map(|i| ((i * i * 7 + 3 * i) % 23) as f64 - 9.5).collect();
            let fourier = Fourier::new(length);
            let (mut power, mut scratch) = (vec![0.0; length / 2 + 1], fourier.scratch());
            for _ in 0..2 {
                fourier.power(&samples, &mut scratch, &mut power);
                for (k, &power) in power.iter().enumerate() {
                    let (mut re, mut im) = (0.0, 0.0);
                    for (i, sample) in samples.iter().enumerate() {
                        let angle = -TAU * ((i * k) % length) as f64 / length as f64;
                        (re, im) = (re + sample * angle.cos(), im + sample * angle.sin());
                    }
                    let expected = re * re + im * im;
                    assert!(
                        (power - expected).abs() < 1e-9 * (1.0 + expected.abs() + length as f64 * 100.0),
                        "{length}, {k}"
                    );
                }
            }
        }
    }
}
