//! Reading one safetensors file: header first and checked against the file's real size, tensors on demand.

use crate::ModelError;
use retune_kernels::tch::{Kind, Tensor};
use safetensors::{Dtype, tensor::Metadata};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An opened file whose header has been validated.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    /// Kept open: what is read later is what was there, even if another file takes its name.
    file: File,
    data_start: u64,
    metadata: Metadata,
}

impl SafetensorsFile {
    /// Reads and checks the header; no tensor is read.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let mut file = File::open(path).map_err(ModelError::io(path))?;
        let length = file.metadata().map_err(ModelError::io(path))?.len();
        let broken = |problem: String| {
            ModelError::file(path, format!("{problem}; the file is damaged or incomplete, download it again"))
        };
        let mut size = [0u8; 8];
        file.read_exact(&mut size)
            .map_err(|_| broken(format!("{length} bytes are too few for a safetensors header")))?;
        let header = u64::from_le_bytes(size);
        if header > length.saturating_sub(8) || header > 100_000_000 {
            return Err(broken(format!("the header claims {header} bytes, the file has {length}")));
        }
        let mut json = vec![0u8; header as usize];
        file.read_exact(&mut json).map_err(ModelError::io(path))?;
        let metadata: Metadata =
            serde_json::from_slice(&json).map_err(|e| broken(format!("not a valid safetensors header ({e})")))?;
        let data_start = 8 + header;
        let claimed = metadata.tensors().values().map(|info| info.data_offsets.1).max().unwrap_or(0) as u64;
        if data_start + claimed != length {
            return Err(broken(format!(
                "the header claims {} bytes in all, the file has {length}",
                data_start + claimed
            )));
        }
        Ok(Self { path: path.to_owned(), file, data_start, metadata })
    }

    /// Names and shapes.
    pub fn shapes(&self) -> BTreeMap<String, Vec<i64>> {
        let shape = |s: &[usize]| s.iter().map(|&n| n as i64).collect();
        self.metadata.tensors().into_iter().map(|(name, info)| (name, shape(&info.shape))).collect()
    }

    /// Whether a tensor holds floating-point numbers; integers are what quantization makes of them, or a table of places.
    pub fn is_floating_point(&self, name: &str) -> bool {
        let dtype = self.metadata.info(name).and_then(|info| kind_of(info.dtype));
        dtype.is_some_and(|kind| matches!(kind, Kind::Float | Kind::Half | Kind::BFloat16 | Kind::Double))
    }

    /// Its dtype in words.
    pub fn dtype(&self, name: &str) -> String {
        self.metadata.info(name).map_or_else(String::new, |info| format!("{:?}", info.dtype))
    }

    /// Reads one tensor in its own dtype.
    pub fn read(&self, name: &str) -> Result<Tensor, ModelError> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| ModelError::file(&self.path, format!("holds no tensor `{name}`")))?;
        let kind = kind_of(info.dtype).ok_or_else(|| {
            ModelError::file(&self.path, format!("tensor `{name}` has the unsupported dtype {:?}", info.dtype))
        })?;
        let (begin, end) = info.data_offsets;
        let mut bytes = vec![0u8; end - begin];
        self.file.read_exact_at(&mut bytes, self.data_start + begin as u64).map_err(ModelError::io(&self.path))?;
        let shape: Vec<i64> = info.shape.iter().map(|&n| n as i64).collect();
        Ok(Tensor::f_from_data_size(&bytes, &shape, kind)?)
    }
}

/// Reads every tensor of a file.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let file = SafetensorsFile::open(path)?;
    file.shapes().into_keys().map(|name| Ok((name.clone(), file.read(&name)?))).collect()
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::write_tensors;

    fn sample(folder: &Path) -> PathBuf {
        let path = folder.join("x.safetensors");
        write_tensors(&path, &[("a".to_owned(), Tensor::from_slice(&[1.0f32, 2.0, 3.0]))]).unwrap();
        path
    }

    #[test]
    fn damaged_files_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let good = std::fs::read(&path).unwrap();
        assert_eq!(read_tensors(&path).unwrap()["a"], Tensor::from_slice(&[1.0f32, 2.0, 3.0]));
        let mut huge = good.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        for (bytes, expected) in [
            (good[..good.len() - 1].to_vec(), "the file has"),
            (good[..5].to_vec(), "too few"),
            (huge, "header claims"),
            ([8u64.to_le_bytes().as_slice(), b"nonsense"].concat(), "not a valid"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = SafetensorsFile::open(&path).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("download it again"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.safetensors");
            std::fs::write(&path, bytes).unwrap();
            let _ = read_tensors(&path);
        }
    }
}
