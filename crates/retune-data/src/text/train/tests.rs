//! Tokenizers learnt from small texts, loaded again as any other.

use super::*;
use crate::{Layout, OnBadExample, TextsOf, Tokenizer, read_documents};

fn trained(kind: TokenizerKind, special: SpecialTokens, text: &str) -> Result<(tempfile::TempDir, Tokenizer), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.txt");
    std::fs::write(&path, text).unwrap();
    let rows = read_documents(&path, &Layout::text("text"), TextsOf::Lines, OnBadExample::Fail).unwrap();
    let plan = TokenizerPlan { kind, special, vocabulary: 320, max_length: 32 };
    let pieces = plan.train(&rows, folder.path()).map_err(|error| error.to_string())?;
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), pieces);
    assert!(pieces <= 320, "{pieces}");
    Ok((folder, tokenizer))
}

const TEXT: &str = "the cat sat on the mat\nthe dog sat on the log\nthe cat and the dog ran\n";

#[test]
fn every_kind_learns_and_spells_its_text() {
    for special in [SpecialTokens::Bert, SpecialTokens::Roberta] {
        for kind in [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let (_folder, tokenizer) = trained(kind, special, &TEXT.repeat(20)).unwrap();
            let tokens = tokenizer.encode("the dog sat", None, 32).unwrap();
            let frame = tokenizer.frame().unwrap();
            assert_eq!((tokens.ids[0], tokens.unknown), (frame.before[0].0, 0), "{kind:?}");
            assert_eq!(tokenizer.decode(&tokens.ids).unwrap().trim(), "the dog sat", "{kind:?}");
            assert_eq!(Some(tokenizer.pad_id()), special.id("pad_token"));
            assert_eq!((tokenizer.mask_id(), tokenizer.model_max_length()), (special.id("mask_token"), Some(32)));
            assert_eq!(tokenizer.token_types(), special == SpecialTokens::Bert);
        }
    }
}

#[test]
fn a_decoder_has_an_end_of_text_and_no_frame() {
    let (_folder, tokenizer) = trained(TokenizerKind::Bpe, SpecialTokens::Decoder, &TEXT.repeat(20)).unwrap();
    assert!(tokenizer.frame().unwrap().before.is_empty());
    assert_eq!(tokenizer.token_id("<|endoftext|>"), Some(0));
    assert_eq!(tokenizer.decode(&tokenizer.bare("naïve ☕", false).unwrap().ids).unwrap(), "naïve ☕");
}

#[test]
fn molecules_are_cut_into_atoms_and_bonds() {
    let text = "CC(=O)Oc1ccccc1C(=O)O\nBrC[C@@H](N)Cl\nc1cc[nH]c1.[Na+]\n";
    let (_folder, tokenizer) = trained(TokenizerKind::Smiles, SpecialTokens::Bert, text).unwrap();
    let bare = tokenizer.bare("BrC[C@@H](Cl)N.[Na+]", true).unwrap();
    let pieces: Vec<String> = bare.ids.iter().filter_map(|&id| tokenizer.token(id)).collect();
    assert_eq!(pieces, ["Br", "C", "[C@@H]", "(", "Cl", ")", "N", ".", "[Na+]"]);
    assert_eq!(tokenizer.decode(&bare.ids).unwrap(), "BrC[C@@H](Cl)N.[Na+]");
    assert!(bare.continues.iter().all(|more| !more));
    // What was never seen is unknown, and does not swallow its neighbours.
    assert_eq!(tokenizer.encode("CIC", None, 32).unwrap().unknown, 1);
}

#[test]
fn texts_without_anything_to_learn_are_refused() {
    let error = trained(TokenizerKind::WordPiece, SpecialTokens::Bert, "\u{200b}\n").err().unwrap();
    assert!(error.contains("t.txt"), "{error}");
}
