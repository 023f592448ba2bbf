//! Resize and center crop, with the roundings of transformers' `image_transforms.py`.

use super::kind::Kind;
use super::{ImageProcessor, Size};
use crate::image::{Pixels, resize};

/// From here on ConvNeXt warps instead of cropping.
const CONVNEXT_WARP: usize = 384;

/// Pixels of a scaled image, at most.
const MOST_PIXELS: usize = 1 << 26;

pub(super) fn fit(processor: &ImageProcessor, image: &Pixels) -> Result<Pixels, String> {
    let scale = |(height, width): (usize, usize)| {
        if height.saturating_mul(width) > MOST_PIXELS {
            let (from_width, from_height) = (image.width(), image.height());
            return Err(format!(
                "is {from_width} × {from_height} pixels, which would be scaled to {width} × {height}; cut it"
            ));
        }
        Ok(resize(image, width, height, processor.resample))
    };
    let resized = match processor.resize {
        None => None,
        Some(Size::ShortestEdge(edge, _)) if processor.kind == Kind::ConvNext => Some(if edge < CONVNEXT_WARP {
            let whole = scale(shortest_edge(image, (edge as f64 / processor.crop_pct) as usize))?;
            center_crop(&whole, edge, edge)
        } else {
            scale((edge, edge))?
        }),
        Some(Size::Exact(height, width)) => Some(scale((height, width))?),
        Some(Size::ShortestEdge(edge, None)) => Some(scale(shortest_edge(image, edge))?),
        Some(Size::ShortestEdge(edge, Some(longest))) => Some(scale(limited_edges(image, edge, longest))?),
    };
    Ok(match (processor.crop, resized) {
        (Some((height, width)), resized) => center_crop(resized.as_ref().unwrap_or(image), height, width),
        (None, Some(resized)) => resized,
        (None, None) => image.clone(),
    })
}

/// Height and width with the shorter side `edge`; the longer side is rounded down.
fn shortest_edge(image: &Pixels, edge: usize) -> (usize, usize) {
    let (height, width) = (image.height(), image.width());
    if width <= height { (edge * height / width, edge) } else { (edge, edge * width / height) }
}

/// As [`shortest_edge`], but scaled down where the longer side would exceed `longest`.
fn limited_edges(image: &Pixels, edge: usize, longest: usize) -> (usize, usize) {
    let (height, width) = (image.height() as f64, image.width() as f64);
    let (short, long) = (height.min(width), height.max(width));
    let (edge, exact) = if long / short * edge as f64 > longest as f64 {
        let exact = longest as f64 * short / long;
        (exact.round_ties_even(), exact)
    } else {
        (edge as f64, edge as f64)
    };
    let side = |of: f64, to: f64| ((exact * of / to) as usize).max(1);
    let edge = (edge as usize).max(1);
    if edge == image.height().min(image.width()) {
        (image.height(), image.width())
    } else if width < height {
        (side(height, width), edge)
    } else {
        (edge, side(width, height))
    }
}

/// The middle; where the image is too small it is surrounded by 0.
fn center_crop(image: &Pixels, height: usize, width: usize) -> Pixels {
    let start = |from: usize, to: usize| (from as isize - to as isize).div_euclid(2);
    image.window(start(image.width(), width), start(image.height(), height), width, height)
}
