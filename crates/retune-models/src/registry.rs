//! The families, and which of them serves a configuration: the only place that chooses by `model_type`.

use crate::families::{
    albert::ALBERT,
    ast::AST,
    bart::{BART, MBART},
    beit::BEIT,
    bert::BERT,
    convnext::{CONVNEXT, CONVNEXTV2},
    data2vec_vision::DATA2VEC_VISION,
    deberta_v2::DEBERTA_V2,
    deformable_detr::DEFORMABLE_DETR,
    deit::DEIT,
    detr::{CONDITIONAL_DETR, DETR},
    dinov2::{DINOV2, DINOV2_WITH_REGISTERS},
    distilbert::DISTILBERT,
    electra::ELECTRA,
    gemma::{GEMMA, GEMMA2, GEMMA3},
    gpt_neox::GPT_NEOX,
    gpt2::GPT2,
    hubert::HUBERT,
    kwt::KWT,
    llama::{LLAMA, MISTRAL, QWEN2, QWEN3},
    m2m_100::M2M_100,
    marian::MARIAN,
    mobilevit::MOBILEVIT,
    mobilevitv2::MOBILEVITV2,
    modernbert::MODERNBERT,
    moonshine::MOONSHINE,
    mpnet::MPNET,
    phi3::PHI3,
    resnet::RESNET,
    roberta::{CAMEMBERT, ROBERTA, XLM_ROBERTA},
    rt_detr::{RT_DETR, RT_DETR_V2},
    sasrec::{BERT4REC, SASREC},
    segformer::SEGFORMER,
    swin::SWIN,
    swinv2::SWINV2,
    t5::{MT5, T5},
    upernet::UPERNET,
    vit::VIT,
    vit_mae::VIT_MAE,
    wav2vec2::WAV2VEC2,
    wav2vec2_bert::WAV2VEC2_BERT,
    wavlm::WAVLM,
    whisper::WHISPER,
    yolos::YOLOS,
};
use crate::family::{Becomes, Fresh};
use crate::heads::{BASE_CLASS, PURPOSES, SEQUENCE_TO_SEQUENCE};
use crate::{Family, HeadPlan, ModelConfig, ModelError, Purpose, Takes, TargetBegin};
use serde_json::Value;

/// All families, in the order of messages.
pub static FAMILIES: &[&dyn Family] = &[
    &BERT,
    &ROBERTA,
    &XLM_ROBERTA,
    &CAMEMBERT,
    &DISTILBERT,
    &ELECTRA,
    &ALBERT,
    &MPNET,
    &MODERNBERT,
    &DEBERTA_V2,
    &LLAMA,
    &MISTRAL,
    &QWEN2,
    &QWEN3,
    &GEMMA,
    &GEMMA2,
    &GEMMA3,
    &PHI3,
    &GPT_NEOX,
    &GPT2,
    &BART,
    &MBART,
    &MARIAN,
    &M2M_100,
    &T5,
    &MT5,
    &VIT,
    &VIT_MAE,
    &DEIT,
    &BEIT,
    &DATA2VEC_VISION,
    &DINOV2,
    &SWIN,
    &CONVNEXT,
    &CONVNEXTV2,
    &DINOV2_WITH_REGISTERS,
    &SWINV2,
    &SEGFORMER,
    &MOBILEVIT,
    &MOBILEVITV2,
    &UPERNET,
    &RESNET,
    &YOLOS,
    &DETR,
    &CONDITIONAL_DETR,
    &DEFORMABLE_DETR,
    &RT_DETR,
    &RT_DETR_V2,
    &WAV2VEC2,
    &HUBERT,
    &WAVLM,
    &WAV2VEC2_BERT,
    &AST,
    &KWT,
    &WHISPER,
    &MOONSHINE,
    &SASREC,
    &BERT4REC,
];

/// The family of a configuration.
///
/// # Errors
/// There is none.
pub fn family(config: &ModelConfig) -> Result<&'static dyn Family, ModelError> {
    let model_type = config.model_type()?;
    let found = FAMILIES.iter().find(|family| family.model_type() == model_type);
    found.copied().ok_or_else(|| unknown(model_type, None))
}

/// The family that serves a configuration for a purpose, or as a base model alone.
///
/// # Errors
/// There is none, or it has no such head.
pub fn family_for(config: &ModelConfig, purpose: Option<&Purpose>) -> Result<&'static dyn Family, ModelError> {
    let model_type = config.model_type()?;
    let served = family(config).ok().map(|own| serving(own, purpose));
    let served = served.filter(|family| purpose.is_none_or(|purpose| has(*family, purpose)));
    served.ok_or_else(|| unknown(model_type, purpose))
}

/// The head of a family for a purpose.
///
/// # Errors
/// It has none.
pub fn head(family: &dyn Family, purpose: &Purpose) -> Result<Box<dyn HeadPlan>, ModelError> {
    let found = family.heads().into_iter().find(|(one, _)| *one == purpose);
    found.map(|(_, plan)| plan).ok_or_else(|| unknown(family.model_type().to_owned(), Some(purpose)))
}

/// The type of a family by its name, and how it is made from nothing for a purpose.
///
/// # Errors
/// It is not known, cannot be trained from nothing, or has no head for the purpose; the message names those that can.
pub fn fresh(name: &str, purpose: Option<&Purpose>) -> Result<(&'static str, Fresh), ModelError> {
    let mut known = Vec::new();
    for family in FAMILIES.iter().copied().filter(|family| serves(*family, purpose)) {
        let Some(fresh) = family.fresh() else { continue };
        if family.model_type() == name {
            return Ok((family.model_type(), fresh));
        }
        known.push(family.model_type());
    }
    Err(ModelError::NotFresh { name: name.to_owned(), purpose: in_words(purpose), known: known.join(", ") })
}

/// Whether models of a configuration can be used for a purpose.
pub fn supports(config: &ModelConfig, purpose: &Purpose) -> bool {
    family_for(config, Some(purpose)).is_ok()
}

fn has(family: &dyn Family, purpose: &Purpose) -> bool {
    family.heads().iter().any(|(one, _)| *one == purpose)
}

fn serving(own: &'static dyn Family, purpose: Option<&Purpose>) -> &'static dyn Family {
    becomes(own, purpose).map_or(own, |becomes| becomes.family)
}

/// What serves a purpose in the place of a family, if that does not do it itself: another one, or one that has it inside.
pub(crate) fn becomes(own: &'static dyn Family, purpose: Option<&Purpose>) -> Option<Becomes> {
    own.becomes(purpose).or_else(|| {
        let purpose = purpose.filter(|purpose| !has(own, purpose))?;
        let with_head = FAMILIES.iter().copied().filter(|family| has(*family, purpose));
        let mut over = with_head.filter_map(|family| Some(Becomes { family, change: family.over(own.model_type())? }));
        over.next()
    })
}

/// Whether models of a family can be used for a purpose, be it as another one.
fn serves(family: &'static dyn Family, purpose: Option<&Purpose>) -> bool {
    purpose.is_none_or(|purpose| has(serving(family, Some(purpose)), purpose))
}

/// A purpose as messages end with it.
fn in_words(purpose: Option<&Purpose>) -> String {
    purpose.map_or(String::new(), |purpose| format!(" for {}", purpose.name()))
}

fn unknown(model_type: String, purpose: Option<&Purpose>) -> ModelError {
    let known = FAMILIES.iter().filter(|family| serves(**family, purpose)).map(|family| family.model_type());
    ModelError::UnknownFamily { model_type, purpose: in_words(purpose), known: known.collect::<Vec<_>>().join(", ") }
}

/// Whether the head of a family for a purpose may be new. What a decoder writes by never is.
pub(crate) fn may_be_new(family: &dyn Family, purpose: Option<&Purpose>) -> Result<bool, ModelError> {
    let Some(purpose) = purpose.filter(|purpose| purpose.fresh) else { return Ok(false) };
    Ok(!head(family, purpose)?.writes())
}

/// What may stand in front of the names of the base model in checkpoints of the family `own`, whose classes call it in several
/// ways: as that which is `serving` does, as other classes do, as its own do.
pub(crate) fn stored_prefixes(own: &'static dyn Family, serving: &'static dyn Family) -> Vec<String> {
    let others = PURPOSES.iter().filter_map(|purpose| own.becomes(Some(purpose))).map(|becomes| becomes.family);
    [serving].into_iter().chain(others).chain([own]).map(|family| family.names().base_prefix()).collect()
}

/// What Hugging Face's configuration class assumes where config.json says nothing.
pub fn class_defaults(config: &ModelConfig) -> Vec<(&'static str, Value)> {
    family(config).map_or_else(|_| Vec::new(), |family| family.defaults())
}

/// What a saved model may have been made for, by its class `architectures[0]`; none where that has a head that this program
/// does not know, or no head: vectors of texts are those of base models.
pub fn purposes_of_class(config: &ModelConfig) -> Vec<&'static Purpose> {
    let Some(class) = config.architecture() else { return Vec::new() };
    let of = |purpose: &&&'static Purpose| match family_for(config, Some(purpose)) {
        Ok(family) => class == family.architecture(config, purpose) || class.ends_with(purpose.class_ending),
        // Loading says that the family is not known.
        Err(_) => family(config).is_err() && class.ends_with(purpose.class_ending),
    };
    let told = PURPOSES.iter().filter(|purpose| purpose.class_ending != BASE_CLASS);
    told.filter(of).copied().collect()
}

/// Dense layers that LoRA adapts when nothing is said: as PEFT's table has them, for images as practitioners use.
///
/// # Errors
/// An unknown family, or one that has no usual targets.
pub fn default_lora_targets(config: &ModelConfig) -> Result<Vec<String>, ModelError> {
    let targets = family(config)?.names().lora.map_err(|why| ModelError::Adapter(why.to_owned()))?;
    Ok(targets.iter().map(|&target| target.to_owned()).collect())
}

/// What models of a configuration take.
///
/// # Errors
/// An unknown family, or a configuration that does not say it.
pub fn takes(config: &ModelConfig) -> Result<Takes, ModelError> {
    family(config)?.takes(config)
}

/// How targets become inputs of the decoder.
///
/// # Errors
/// An unknown family, one whose models read no other text, or a configuration without the tokens that are needed.
pub fn target_begin(config: &ModelConfig) -> Result<TargetBegin, ModelError> {
    let unknown = || unknown(config.model_type().unwrap_or_default(), Some(&SEQUENCE_TO_SEQUENCE));
    family(config)?.target_begin(config).ok_or_else(unknown)?
}

#[cfg(test)]
mod tests;
