//! Device, threads and precision of a run, decided once.

use anyhow::Result;
use retune_data::Dataset;
use retune_kernels::precision::{self, Ceilings};
use retune_kernels::tch::{self, Device};
use retune_kernels::{Lanes, Precision, device, fused, memory};

/// Where and how a run computes.
#[derive(Debug)]
pub struct Hardware {
    /// Compute device.
    pub device: Device,
    /// Compute precision.
    pub precision: Precision,
    /// Measured matrix-product speeds.
    pub ceilings: Ceilings,
    /// Compute threads.
    pub threads: usize,
    /// What shares them out.
    pub lanes: Lanes,
}

impl Hardware {
    /// Resolves the flags; the text is worth telling the user (why `auto` chose the CPU).
    pub fn resolve(device_flag: &str, precision_flag: &str, threads: usize) -> Result<(Self, Option<String>)> {
        fused::check_environment()?;
        memory::keep_memory_mapped();
        let (device, note) = device::resolve(device_flag)?;
        let threads = device::set_threads(threads);
        let ceilings = precision::probe(device)?;
        let precision = Precision::from_flag(precision_flag, device)?;
        let lanes = Lanes::new(threads, device);
        Ok((
            Self { device, precision, ceilings, threads, lanes },
            note.map(|why| format!("no GPU: {why}; using the CPU")),
        ))
    }

    /// `cpu` or `cuda:N`.
    pub fn device_name(&self) -> String {
        match self.device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".to_owned(),
        }
    }

    /// The same with what the maker of a GPU calls it.
    pub fn described_device(&self) -> String {
        let product = device::product_name(self.device);
        product.map_or_else(|| self.device_name(), |product| format!("{}, {product}", self.device_name()))
    }
}

/// Threads that prepare batches of a data set, and how many batches they keep ready. Beside a GPU all cores are free;
/// on the CPU the model needs them, and one in eight is lent.
pub(crate) fn loaders(dataset: &dyn Dataset, device: Device) -> (usize, usize) {
    let cores = usize::try_from(tch::get_num_threads()).unwrap_or(1);
    let threads = dataset.loader_threads(if device == Device::Cpu { cores / 8 } else { cores });
    (threads, (2 * threads).max(4))
}

/// The processor's name, where the system tells.
pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |name| name.trim().to_owned())
}
