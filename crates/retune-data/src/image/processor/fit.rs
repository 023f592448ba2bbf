//! Resize and center crop, with the roundings of transformers' `image_transforms.py`.

use super::kind::Kind;
use super::{ImageProcessor, Size};
use crate::image::{Moves, Pixels, resize};

/// From here on ConvNeXt warps instead of cropping.
pub(super) const CONVNEXT_WARP: usize = 384;

/// Pixels of a scaled image, at most.
const MOST_PIXELS: usize = 1 << 26;

/// What is done to an image.
enum Act {
    /// Brought to that width and height.
    Scale(usize, usize),
    /// Its middle of that width and height, surrounded by 0 where the image is too small.
    Crop(usize, usize),
}

pub(super) fn fit(processor: &ImageProcessor, image: &Pixels) -> Result<Pixels, String> {
    let mut fitted: Option<Pixels> = None;
    for act in acts(processor, (image.height(), image.width()))? {
        let before = fitted.as_ref().unwrap_or(image);
        fitted = Some(match act {
            Act::Scale(width, height) => resize(before, width, height, processor.resample),
            Act::Crop(width, height) => {
                let (left, top) = corner((before.width(), before.height()), (width, height));
                before.window(left, top, width, height)
            }
        });
    }
    Ok(fitted.unwrap_or_else(|| image.clone()))
}

/// Where the pixels of an image of this size go.
pub(super) fn moves(processor: &ImageProcessor, (height, width): (usize, usize)) -> Result<Moves, String> {
    let mut moves = Moves::of(width, height);
    for act in acts(processor, (height, width))? {
        match act {
            Act::Scale(width, height) => moves.resize(width, height),
            Act::Crop(width, height) => {
                let (left, top) = corner(moves.size(), (width, height));
                moves.window(left, top, width, height);
            }
        }
    }
    Ok(moves)
}

/// Of an image of that height and width.
fn acts(processor: &ImageProcessor, image: (usize, usize)) -> Result<Vec<Act>, String> {
    let mut acts = Vec::new();
    let mut scale = |(height, width): (usize, usize)| {
        if height.saturating_mul(width) > MOST_PIXELS {
            let (from_height, from_width) = image;
            return Err(format!(
                "is {from_width} × {from_height} pixels, which would be scaled to {width} × {height}; cut it"
            ));
        }
        acts.push(Act::Scale(width, height));
        Ok(())
    };
    match processor.resize {
        None => {}
        Some(Size::ShortestEdge(edge, _)) if processor.kind == Kind::ConvNext => {
            if edge < CONVNEXT_WARP {
                scale(shortest_edge(image, (edge as f64 / processor.crop_pct) as usize))?;
                acts.push(Act::Crop(edge, edge));
            } else {
                scale((edge, edge))?;
            }
        }
        Some(Size::Exact(height, width)) => scale((height, width))?,
        Some(Size::ShortestEdge(edge, Some(longest))) if processor.kind.multiple() > 1 => {
            scale(whole_multiples(image, edge, longest, processor.kind.multiple()))?;
        }
        Some(Size::ShortestEdge(edge, None)) => scale(shortest_edge(image, edge))?,
        Some(Size::ShortestEdge(edge, Some(longest))) => scale(limited_edges(image, edge, longest))?,
    }
    acts.extend(processor.crop.map(|(height, width)| Act::Crop(width, height)));
    Ok(acts)
}

/// Height and width with the shorter side `edge`; the longer side is rounded down.
fn shortest_edge((height, width): (usize, usize), edge: usize) -> (usize, usize) {
    if width <= height { (edge * height / width, edge) } else { (edge, edge * width / height) }
}

/// As [`shortest_edge`], but scaled down where the longer side would exceed `longest`.
fn limited_edges(image: (usize, usize), edge: usize, longest: usize) -> (usize, usize) {
    let (height, width) = (image.0 as f64, image.1 as f64);
    let (short, long) = (height.min(width), height.max(width));
    let (edge, exact) = if long / short * edge as f64 > longest as f64 {
        let exact = longest as f64 * short / long;
        (exact.round_ties_even(), exact)
    } else {
        (edge as f64, edge as f64)
    };
    let side = |of: f64, to: f64| ((exact * of / to) as usize).max(1);
    let edge = (edge as usize).max(1);
    if edge == image.0.min(image.1) {
        image
    } else if width < height {
        (side(height, width), edge)
    } else {
        (edge, side(width, height))
    }
}

/// As [`limited_edges`], both sides cut down to multiples, and an image as it is where its shorter side fits already.
fn whole_multiples(image: (usize, usize), edge: usize, longest: usize, multiple: usize) -> (usize, usize) {
    let (height, width) = (image.0 as f64, image.1 as f64);
    let (short, long) = (height.min(width), height.max(width));
    let (edge, exact) = if long / short * edge as f64 > longest as f64 {
        let exact = longest as f64 * short / long;
        (exact.round_ties_even() as usize, exact)
    } else {
        (edge, edge as f64)
    };
    let (tall, wide) = if width < height {
        ((exact * height / width) as usize, edge)
    } else if edge == image.0 {
        image
    } else {
        (edge, (exact * width / height) as usize)
    };
    let cut = |side: usize| (side - side % multiple).max(multiple);
    (cut(tall), cut(wide))
}

/// Left and top of the middle `to` of an image of width and height `from`; negative where that is too small.
fn corner(from: (usize, usize), to: (usize, usize)) -> (isize, isize) {
    let start = |from: usize, to: usize| (from as isize - to as isize).div_euclid(2);
    (start(from.0, to.0), start(from.1, to.1))
}
