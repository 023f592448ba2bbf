//! Threads for decoding and tokenizing.

/// Sets how many threads encode data sets in this process; 0 leaves it at one a core. The first call that is not 0
/// and comes before any data is encoded decides.
pub fn set_encoding_threads(threads: usize) {
    if threads > 0 {
        // Refused when the threads already run: results do not depend on their number.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}
