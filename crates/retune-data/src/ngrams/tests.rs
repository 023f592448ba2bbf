//! Scores by hand, with back-off, and lines that are named.

use super::*;
use std::io::Write as _;

const FILE: &str = "made by hand\n\n\\data\\\nngram 1=6\nngram 2=4\nngram 3=1\n\n\\1-grams:\n-99\t<s>\t-0.5\n-1.0\t</s>\n\
                    -2.0\t<unk>\n-0.6\tone\t-0.25\n-0.7\ttwo\t-0.125\n-0.9\tonly\n\n\\2-grams:\n-0.3\t<s> one\t-0.75\n\
                    -0.4\tone two\t-0.0625\n-0.2\ttwo </s>\n-0.1\ttwo one\n\n\\3-grams:\n-0.05\t<s> one two\n\n\\end\\\n";

fn read(text: &[u8], name: &str) -> Result<NGrams, crate::DataError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    NGrams::read(&file)
}

/// Base-10 logarithms of the words of a text and of its end.
fn scores(ngrams: &NGrams, text: &str) -> Vec<f32> {
    let mut context = ngrams.start();
    let mut logs: Vec<f32> = text.split_whitespace().map(|word| ngrams.score(&mut context, word)).collect();
    logs.push(ngrams.score_end(&context));
    logs.into_iter().map(|log| log / LN_10).collect()
}

fn near(found: &[f32], expected: &[f32]) {
    let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(found.len() == expected.len() && close, "{found:?} {expected:?}");
}

#[test]
fn scores_back_off_as_worked_out_by_hand() {
    let ngrams = read(FILE.as_bytes(), "a.arpa").unwrap();
    assert_eq!((ngrams.order(), ngrams.words().collect::<Vec<_>>()), (3, vec!["one", "only", "two"]));
    // <s> one: a bigram; <s> one two: a trigram; one two </s>: by the weight of `one two`, then a bigram.
    near(&scores(&ngrams, "one two"), &[-0.3, -0.05, -0.0625 - 0.2]);
    // two behind <s>: its weight and a unigram; two two: likewise; two </s>.
    near(&scores(&ngrams, "two two"), &[-0.5 - 0.7, -0.125 - 0.7, -0.2]);
    // An unknown word cuts what stands before it off.
    near(&scores(&ngrams, "one three one"), &[-0.3, -0.75 - 0.25 - 2.0, -0.6, -0.25 - 1.0]);
    near(&scores(&ngrams, ""), &[-0.5 - 1.0]);
    assert!(ngrams.begins("on") && ngrams.begins("only") && !ngrams.begins("onl!") && !ngrams.begins("twos"));
    assert!(ngrams.knows("two") && !ngrams.knows("<s>") && !ngrams.knows("tw"));
}

#[test]
fn files_may_be_packed_pruned_and_of_one_order() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(FILE.replace('\n', "\r\n").as_bytes()).unwrap();
    near(&scores(&read(&packed.finish().unwrap(), "a.arpa.gz").unwrap(), "one two"), &[-0.3, -0.05, -0.2625]);
    // Without the bigram that begins the trigram.
    let pruned = FILE.replace("-0.3\t<s> one\t-0.75\n", "").replace("ngram 2=4", "ngram 2=3");
    near(&scores(&read(pruned.as_bytes(), "a").unwrap(), "one two"), &[-0.5 - 0.6, -0.05, -0.2625]);
    let single = "\\data\\\nngram 1=3\n\\1-grams:\n-9 <s>\n-1 </s>\n-0.5 yes\n\\end\\\n";
    near(&scores(&read(single.as_bytes(), "a").unwrap(), "yes no"), &[-0.5, -100.0, -1.0]);
}

#[test]
fn malformed_lines_are_named_together() {
    let refused = |text: &str| read(text.as_bytes(), "a.arpa").unwrap_err().to_string();
    let broken = FILE
        .replace("-0.6\tone\t-0.25", "-0.6\tone\t-0.25\tx")
        .replace("-0.7\ttwo", "0.7\ttwo")
        .replace("-0.1\ttwo one", "-0.4\tone two\nlikely\t<s> one\n-0.1\ttwo three")
        .replace("ngram 3=1", "ngram 3=2");
    let said = refused(&broken);
    for part in [
        "a.arpa:12: `-0.6 one -0.25 x` has 4 fields; a logarithm and 1 word are expected, and a back-off weight or none",
        "a.arpa:13: the logarithm of the probability is 0.7, above 0",
        "a.arpa:20: `one two` stands twice",
        "a.arpa:21: the logarithm of the probability `likely` is no number",
        "a.arpa:22: the word `three` is not among the 1-grams",
        "a.arpa:5: says 4 2-grams, but there are 6",
        "a.arpa:6: says 2 3-grams, but there are 1",
        "7 problems in all",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert!(refused(&FILE.replace("-0.1\ttwo one", "-0.4\tone two")).contains(":20: `one two` stands twice"));
    assert!(refused(&FILE.replace("<s> one two", "<s> one two\t-1")).contains("without a back-off weight"));
    assert!(refused(&FILE.replace("\\end\\\n", "")).contains("no `\\end\\`: the file is cut off"));
    assert!(refused(&FILE.replace("\\2-grams:", "\\3-grams:")).contains("`\\2-grams:` is expected"));
    assert!(refused(&FILE.replace("ngram 2=4", "ngram 2=many")).contains(":5: `ngram 2=many` is no count"));
    assert!(refused(&FILE.replace("\t</s>", "\tend")).contains("the word `</s>` is not among the 1-grams"));
    let single = "\\data\\\nngram 1=2\n\\1-grams:\n-9 <s>\n-0.5 yes\n\\end\\\n";
    assert!(refused(single).contains("has no 1-gram `</s>`"));
    assert!(refused("text,label\n").contains("has no line `\\data\\`"));
    assert!(refused("mmap lm http://kheafield.com/code format version 5\n").contains("is a binary file of KenLM"));
    assert!(
        read(b"\\data\\\nngram 1=1\n\\1-grams:\n-1 \xff\n\\end\\\n", "a").unwrap_err().to_string().contains("UTF-8")
    );
    assert!(NGrams::read("/nowhere/a.arpa".as_ref()).unwrap_err().to_string().contains("no such file"));
}
