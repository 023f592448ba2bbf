//! Reading the configuration: class attributes first, then what the file says.

use serde_json::{Map, Value};

use super::kind::Kind;
use super::{GREY_RANGE, GreyRange, ImageProcessor, Resample, Size};
use crate::error::shortened;

/// The longest side that makes sense; beyond it a typo would ask for all memory.
const MOST_SIDE: u64 = 16_384;
/// Of MobileViT's processor: colours in the order blue, green, red.
const FLIP: &str = "do_flip_channel_order";
/// Keys of processors that do what this one cannot.
const UNSUPPORTED: [&str; 2] = [FLIP, "do_thumbnail"];

impl ImageProcessor {
    pub(super) fn from_config(raw: Map<String, Value>, channels: usize) -> Result<Self, String> {
        if !matches!(channels, 1 | 3) {
            return Err(format!("the model takes {channels} channels; images have 1 or 3"));
        }
        let named = ["image_processor_type", "feature_extractor_type"].iter().find_map(|key| raw.get(*key));
        let kind = match named {
            None => Kind::Vit,
            Some(Value::String(name)) => Kind::parse(name)?,
            Some(other) => return Err(format!("image_processor_type is {}, not a name", brief(other))),
        };
        let mobile = kind == Kind::MobileVit;
        let unsupported = UNSUPPORTED.iter().filter(|key| !(mobile && **key == FLIP));
        if let Some(key) = unsupported.into_iter().find(|key| raw.get(**key) == Some(&Value::Bool(true))) {
            return Err(format!("{key} is not supported; set it to false if the model can do without"));
        }
        let defaults = kind.defaults();
        // Older configurations say it in other words.
        let pads = flag(&raw, "do_pad", flag(&raw, "pad_and_return_pixel_mask", defaults.pads)?)?;
        if pads && !defaults.pads {
            return Err("do_pad is not supported; set it to false if the model can do without".to_owned());
        }
        if pads && raw.get("pad_size").is_some_and(|size| !size.is_null()) {
            return Err(
                "pad_size is not supported; without it images are padded to the largest of their batch".to_owned()
            );
        }
        let longest = match raw.get("max_size").filter(|value| !value.is_null()) {
            Some(value) => Some(side(value, "max_size")?),
            None => defaults.longest.map(|longest| longest as usize),
        };
        let resize = match flag(&raw, "do_resize", true)? {
            false => None,
            true => Some(match raw.get("size").filter(|value| !value.is_null()) {
                // RT-DETR's class has a square where nothing is said, and a number means the shorter side.
                None if defaults.square || kind == Kind::RtDetr => {
                    Size::Exact(defaults.size as usize, defaults.size as usize)
                }
                None => Size::ShortestEdge(defaults.size as usize, longest),
                Some(value) => size(value, defaults.square, longest)?,
            }),
        };
        if kind == Kind::ConvNext && matches!(resize, Some(Size::Exact(..))) {
            return Err("ConvNextImageProcessor needs size.shortest_edge".to_owned());
        }
        let crop = match flag(&raw, "do_center_crop", defaults.crops)? {
            false => None,
            true => match raw.get("crop_size").filter(|value| !value.is_null()) {
                None => {
                    let side = defaults.crop.ok_or("do_center_crop needs crop_size")? as usize;
                    Some((side, side))
                }
                Some(value) => match size(value, true, None).map_err(|error| error.replace("size", "crop_size"))? {
                    Size::Exact(height, width) => Some((height, width)),
                    Size::ShortestEdge(..) => return Err("crop_size needs height and width".to_owned()),
                },
            },
        };
        let resample = match raw.get("resample") {
            None => defaults.resample,
            Some(Value::Null) => Resample::Bilinear,
            Some(value) => value
                .as_u64()
                .and_then(Resample::from_number)
                .ok_or_else(|| format!("resample is {}; use 0 to 5", brief(value)))?,
        };
        let crop_pct = number(&raw, "crop_pct", 224.0 / 256.0)?;
        if !(crop_pct > 0.0 && crop_pct <= 1.0) {
            return Err(format!("crop_pct is {crop_pct}; it must be above 0 and at most 1"));
        }
        let rescale_factor = match flag(&raw, "do_rescale", true)? {
            true => Some(number(&raw, "rescale_factor", 1.0 / 255.0)?),
            false => None,
        };
        // Its class never normalises, whatever the file says.
        let normalize = match !mobile && flag(&raw, "do_normalize", defaults.normalizes)? {
            true => {
                let mean = per_channel(&raw, "image_mean", &defaults.mean, channels)?;
                let std = per_channel(&raw, "image_std", &defaults.std, channels)?;
                if std.contains(&0.0) {
                    return Err("image_std has a 0, by which nothing can be divided".to_owned());
                }
                Some((mean, std))
            }
            false => None,
        };
        let flips = mobile && channels == 3 && flag(&raw, FLIP, true)?;
        let grey = match raw.get(GREY_RANGE) {
            None | Some(Value::Null) => GreyRange::default(),
            Some(Value::String(text)) => text.parse()?,
            Some(other) => return Err(format!("{GREY_RANGE} is {}, not a text", brief(other))),
        };
        Ok(Self { raw, kind, resize, resample, crop, crop_pct, rescale_factor, normalize, channels, flips, grey, pads })
    }
}

fn brief(value: &Value) -> String {
    format!("`{}`", shortened(&value.to_string()))
}

fn flag(raw: &Map<String, Value>, key: &str, default: bool) -> Result<bool, String> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(format!("{key} is {}, not true or false", brief(other))),
    }
}

fn number(raw: &Map<String, Value>, key: &str, default: f64) -> Result<f64, String> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_f64()
            .filter(|number| number.is_finite())
            .ok_or_else(|| format!("{key} is {}, not a number", brief(value))),
    }
}

fn side(value: &Value, key: &str) -> Result<usize, String> {
    // Some configurations hold 224.0.
    let whole = value.as_f64().filter(|side| side.fract() == 0.0 && (1.0..=MOST_SIDE as f64).contains(side));
    whole
        .map(|side| side as usize)
        .ok_or_else(|| format!("{key} is {}, not a whole number from 1 to {MOST_SIDE}", brief(value)))
}

fn size(value: &Value, square: bool, longest_usual: Option<usize>) -> Result<Size, String> {
    match value {
        Value::Number(_) => {
            let side = side(value, "size")?;
            Ok(if square { Size::Exact(side, side) } else { Size::ShortestEdge(side, longest_usual) })
        }
        Value::Array(sides) => match sides.as_slice() {
            [height, width] => Ok(Size::Exact(side(height, "size")?, side(width, "size")?)),
            _ => Err(format!("size is {}, not height and width", brief(value))),
        },
        Value::Object(map) => {
            let get = |key: &str| map.get(key).filter(|value| !value.is_null());
            match (get("height"), get("width"), get("shortest_edge"), get("longest_edge")) {
                (Some(height), Some(width), None, None) => {
                    Ok(Size::Exact(side(height, "size.height")?, side(width, "size.width")?))
                }
                (None, None, Some(edge), longest) => {
                    let longest = longest.map(|longest| side(longest, "size.longest_edge")).transpose()?;
                    Ok(Size::ShortestEdge(side(edge, "size.shortest_edge")?, longest.or(longest_usual)))
                }
                _ => Err(format!("size is {}; it needs height and width, or shortest_edge", brief(value))),
            }
        }
        other => Err(format!("size is {}; it needs height and width, or shortest_edge", brief(other))),
    }
}

/// A list with an entry per channel, or one number for all.
fn per_channel(raw: &Map<String, Value>, key: &str, default: &[f64; 3], channels: usize) -> Result<Vec<f32>, String> {
    let wrong = |value: &Value| format!("{key} is {}, not a list of numbers", brief(value));
    let numbers: Vec<f64> = match raw.get(key) {
        None | Some(Value::Null) if channels == 3 => default.to_vec(),
        None | Some(Value::Null) => vec![default.iter().sum::<f64>() / 3.0],
        Some(value @ Value::Number(_)) => vec![value.as_f64().ok_or_else(|| wrong(value))?; channels],
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_f64().ok_or_else(|| wrong(item))).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(wrong(other)),
    };
    if numbers.len() != channels {
        return Err(format!("{key} has {} entries, but the model takes {channels} channels", numbers.len()));
    }
    if numbers.iter().any(|number| !(*number as f32).is_finite()) {
        return Err(format!("{key} has an entry that is not finite"));
    }
    Ok(numbers.into_iter().map(|number| number as f32).collect())
}
