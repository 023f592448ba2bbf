//! Layers that several families share; only tensor names differ between them.

pub mod conv_next_layer;
pub mod drop_path;
pub mod encoder_layer;
pub mod feed_forward;
pub mod gated_feed_forward;
pub mod image_attention;
pub mod image_embeddings;
pub mod patch_embeddings;
pub mod patch_merging;
pub mod position_embeddings;
pub mod pre_norm_layer;
pub mod relative_position;
pub mod self_attention;
mod sincos_positions;
pub mod text_embeddings;
pub mod window_attention;

pub use conv_next_layer::{ConvNextLayer, ConvNextSizes};
pub use encoder_layer::{EncoderLayer, LayerNames, LayerSizes};
pub use feed_forward::FeedForward;
pub use gated_feed_forward::GatedFeedForward;
pub use image_attention::{ImageAttention, ImageAttentionNames, ImageAttentionSizes};
pub use image_embeddings::{ImageEmbeddingSizes, ImageEmbeddings};
pub use patch_embeddings::{PatchProjection, SizeRule};
pub use patch_merging::PatchMerging;
pub use position_embeddings::PositionEmbeddings;
pub use pre_norm_layer::{PreNormLayer, PreNormOptions};
pub use relative_position::RelativePositionBias;
pub use self_attention::SelfAttention;
pub use sincos_positions::sincos_positions;
pub use text_embeddings::{EmbeddingSizes, PositionScheme, TextEmbeddings};
pub use window_attention::{WindowLayer, WindowOptions};
