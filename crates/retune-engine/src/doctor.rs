//! What this machine offers, and whether everything is in place.

use crate::error::{EngineError, InputContext};
use crate::hardware::{self, Hardware};
use retune_data::hub::HubOptions;
use retune_kernels::{device, fused, memory};
use std::fmt::Write;
use std::path::Path;

/// Device, libtorch, threads, instruction sets, matrix-product ceilings, caches and disk, as text.
pub fn doctor(device_flag: &str) -> Result<String, EngineError> {
    let (hardware, note) = Hardware::resolve(device_flag, "auto", 0).input()?;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<22} {value}");
    };
    line("retune", env!("CARGO_PKG_VERSION").to_owned());
    line("libtorch", device::LIBTORCH_VERSION.to_owned());
    line("device", hardware.described_device());
    if let Some(note) = note {
        line("", note);
    }
    line("processor", hardware::processor());
    line("compute threads", hardware.threads.to_string());
    line("instruction set", device::cpu_capability());
    line("kernels on the CPU", fused::choice().to_owned());
    let giga = |flops: f64| format!("{:.0} GFLOP/s", flops / 1e9);
    let path = if hardware.ceilings.onednn_fp32 { "oneDNN" } else { "libtorch's default" };
    line("matrix product, fp32", format!("{} (exact, {path})", giga(hardware.ceilings.fp32)));
    line("matrix product, bf16", giga(hardware.ceilings.bf16));
    line("precision by default", hardware.precision.name().to_owned());
    let hub = HubOptions::from_env().input()?;
    line("model cache", hub.cache_dir.display().to_string());
    line("hub", if hub.offline { "offline (HF_HUB_OFFLINE)".to_owned() } else { hub.endpoint.clone() });
    if let Some(free) = memory::free_disk_bytes(Path::new(".")) {
        line("free disk here", format!("{:.1} GB", free as f64 / 1e9));
    }
    Ok(text)
}
