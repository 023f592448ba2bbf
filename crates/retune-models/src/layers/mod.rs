//! Layers that several families share; only tensor names differ between them.

pub mod encoder_layer;
pub mod feed_forward;
pub mod self_attention;
pub mod text_embeddings;

pub use encoder_layer::{EncoderLayer, LayerNames, LayerSizes};
pub use feed_forward::FeedForward;
pub use self_attention::SelfAttention;
pub use text_embeddings::{EmbeddingSizes, PositionScheme, TextEmbeddings};
