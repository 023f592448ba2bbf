//! How the tensors of a family are called in files.

/// How the tensors of a family are called.
#[derive(Debug, Clone, Copy)]
pub struct TensorNames {
    /// Attribute of the base model in Hugging Face's class, such as `bert`: base checkpoints are stored without it.
    pub base: &'static str,
    /// Parts of names that some files spell in another way: ours, theirs.
    pub spellings: &'static [(&'static str, &'static str)],
    /// How the names of tensors end that follow from the configuration and are not read.
    pub buffers: &'static [&'static str],
    /// Dense layers that LoRA adapts when nothing is said; else why that must be said.
    pub lora: Result<&'static [&'static str], &'static str>,
}
