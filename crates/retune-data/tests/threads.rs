//! In a process of its own, because the number of threads is the process's.

use retune_data::set_encoding_threads;

#[test]
fn the_first_number_of_threads_counts() {
    set_encoding_threads(0);
    set_encoding_threads(3);
    set_encoding_threads(5);
    assert_eq!(rayon::current_num_threads(), 3);
}
