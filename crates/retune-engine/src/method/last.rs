//! The head and the last K blocks.

use super::{Entry, Method};
use anyhow::{Result, ensure};
use retune_kernels::Param;

pub(super) static ENTRY: Entry = Entry { written: "last:K", parse, settings: &[] };

/// With the number of blocks.
#[derive(Debug)]
struct Last(usize);

fn parse(flag: &str) -> Option<Box<dyn Method>> {
    let count = flag.strip_prefix("last:")?.parse().ok().filter(|&count| count > 0)?;
    Some(Box::new(Last(count)))
}

impl Method for Last {
    fn learning_rate(&self) -> f64 {
        5e-5
    }

    fn learns(&self, param: &Param, blocks: usize) -> bool {
        param.head || param.depth > blocks - self.0
    }

    fn backward(&self) -> f64 {
        2.0
    }

    fn check(&self, blocks: usize) -> Result<()> {
        ensure!(self.0 <= blocks, "last:{}: the model has only {blocks} blocks", self.0);
        Ok(())
    }
}
