//! Operations on sample values, as in Pillow's `ImageEnhance` and `ImageOps`.

use crate::image::Pixels;
use crate::image::decode::luma;

/// `from + (to - from) · factor`, clipped; factors beyond 1 exaggerate.
fn blend(from: f64, to: u8, factor: f64) -> u8 {
    (from + (f64::from(to) - from) * factor).round().clamp(0.0, 255.0) as u8
}

/// Grey of a pixel.
fn grey(pixel: &[u8]) -> u8 {
    if pixel.len() == 1 { pixel[0] } else { luma(pixel) }
}

fn each_sample(mut image: Pixels, change: impl Fn(u8) -> u8) -> Pixels {
    image.data_mut().iter_mut().for_each(|sample| *sample = change(*sample));
    image
}

/// Scales samples; 0 is black, 1 the image.
pub(super) fn brightness(image: Pixels, factor: f64) -> Pixels {
    each_sample(image, |sample| blend(0.0, sample, factor))
}

/// Distance from the mean grey; 0 is flat grey, 1 the image.
pub(super) fn contrast(image: Pixels, factor: f64) -> Pixels {
    let pixels = (image.width() * image.height()).max(1);
    let sum: u64 = image.data().chunks_exact(image.channels()).map(|pixel| u64::from(grey(pixel))).sum();
    let mean = (sum as f64 / pixels as f64 + 0.5).floor();
    each_sample(image, |sample| blend(mean, sample, factor))
}

/// Distance from the pixel's own grey; 0 is grey, 1 the image. Grey images stay as they are.
pub(super) fn saturation(mut image: Pixels, factor: f64) -> Pixels {
    if image.channels() == 3 {
        for pixel in image.data_mut().chunks_exact_mut(3) {
            let own = f64::from(grey(pixel));
            pixel.iter_mut().for_each(|sample| *sample = blend(own, *sample, factor));
        }
    }
    image
}

/// Distance from a smoothed image; 0 is smooth, 1 the image. The border stays as it is.
pub(super) fn sharpness(image: &Pixels, factor: f64) -> Pixels {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let mut out = image.clone();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            for channel in 0..channels {
                let around: u32 = (y - 1..=y + 1)
                    .flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y)))
                    .map(|(x, y)| u32::from(image.pixel(x, y)[channel]))
                    .sum();
                let own = image.pixel(x, y)[channel];
                let smooth = f64::from(around + 4 * u32::from(own)) / 13.0;
                out.data_mut()[(y * width + x) * channels + channel] = blend(smooth.round(), own, factor);
            }
        }
    }
    out
}

/// Keeps the highest `bits` of each sample.
pub(super) fn posterize(image: Pixels, bits: u32) -> Pixels {
    let mask = !(0xffu32 >> bits.min(8)) as u8;
    each_sample(image, |sample| sample & mask)
}

/// Inverts samples of at least `threshold`.
pub(super) fn solarize(image: Pixels, threshold: f64) -> Pixels {
    each_sample(image, |sample| if f64::from(sample) < threshold { sample } else { 255 - sample })
}

fn each_channel(mut image: Pixels, table: impl Fn(&[u64; 256]) -> [u8; 256]) -> Pixels {
    let channels = image.channels();
    for channel in 0..channels {
        let mut histogram = [0; 256];
        image.data().iter().skip(channel).step_by(channels).for_each(|&sample| histogram[usize::from(sample)] += 1);
        let table = table(&histogram);
        let samples = image.data_mut().iter_mut().skip(channel).step_by(channels);
        samples.for_each(|sample| *sample = table[usize::from(*sample)]);
    }
    image
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|sample| sample as u8)
}

/// Stretches each channel to the full range.
pub(super) fn auto_contrast(image: Pixels) -> Pixels {
    each_channel(image, |histogram| {
        let low = histogram.iter().position(|&count| count > 0).unwrap_or(0);
        let high = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
        if high <= low {
            return identity();
        }
        let scale = 255.0 / (high - low) as f64;
        std::array::from_fn(|sample| ((sample as f64 - low as f64) * scale).round().clamp(0.0, 255.0) as u8)
    })
}

/// Makes all values of each channel about equally frequent.
pub(super) fn equalize(image: Pixels) -> Pixels {
    each_channel(image, |histogram| {
        let last = histogram.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
        let step = (histogram.iter().sum::<u64>() - last) / 255;
        if step == 0 {
            return identity();
        }
        let mut before = step / 2;
        std::array::from_fn(|sample| {
            let value = (before / step).min(255) as u8;
            before += histogram[sample];
            value
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey_row(samples: &[u8]) -> Pixels {
        Pixels::new(samples.len(), 1, 1, samples.to_vec())
    }

    #[test]
    fn factors_of_one_change_nothing_and_zero_gives_the_extreme() {
        let image = Pixels::new(3, 3, 3, (0..27).map(|i| i * 9).collect());
        let flat = |image: &Pixels| image.data().windows(2).all(|pair| pair[0] == pair[1]);
        assert_eq!(brightness(image.clone(), 1.0), image);
        assert_eq!(contrast(image.clone(), 1.0), image);
        assert_eq!(saturation(image.clone(), 1.0), image);
        assert_eq!(sharpness(&image, 1.0), image);
        assert!(flat(&brightness(image.clone(), 0.0)) && flat(&contrast(image.clone(), 0.0)));
        let greyed = saturation(image.clone(), 0.0);
        assert!(greyed.data().chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
        assert_ne!(sharpness(&image, 0.0).pixel(1, 1), greyed.pixel(1, 1));
    }

    #[test]
    fn values_by_hand() {
        assert_eq!(brightness(grey_row(&[10, 200]), 1.5).data(), [15, 255]);
        assert_eq!(contrast(grey_row(&[0, 100]), 2.0).data(), [0, 150]);
        assert_eq!(posterize(grey_row(&[255, 100, 7]), 3).data(), [224, 96, 0]);
        assert_eq!(posterize(grey_row(&[255, 100, 7]), 8).data(), [255, 100, 7]);
        assert_eq!(solarize(grey_row(&[10, 128, 255]), 128.0).data(), [10, 127, 0]);
        assert_eq!(auto_contrast(grey_row(&[50, 70, 100])).data(), [0, 102, 255]);
        assert_eq!(auto_contrast(grey_row(&[7, 7])).data(), [7, 7]);
        let two_tones: Vec<u8> = (0..1024).map(|i| if i % 2 == 0 { 100 } else { 101 }).collect();
        assert_eq!(equalize(grey_row(&two_tones)).data()[..2], [0, 255]);
        let mut image = Pixels::filled(3, 3, 1, &[0]);
        image.data_mut()[4] = 130;
        assert_eq!(sharpness(&image, 0.0).data()[4], 50);
    }
}
