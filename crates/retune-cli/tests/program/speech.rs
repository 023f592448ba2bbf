//! Sounds: recognition by characters and by a decoder, and classification, from the real program: the vocabulary, splits of one
//! table, frozen convolutions, times of words, long sounds in pieces, and files that cannot be used.

use crate::support::{Desk, assert_done, assert_said, fixture, json, json_lines, read, tensors, text};
use serde_json::Value;
use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};

const RATE: u32 = 16_000;
/// Samples of a tone, and of the silence around it.
const TONE: usize = 240;
const GAP: usize = 80;

/// A WAV file of 16 bits.
fn wav(samples: &[f64], rate: u32) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| ((sample * 32767.0) as i16).to_le_bytes()).collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A tone for each word, low for `no` and high for `yes`, with a little noise that `number` decides.
fn spoken(words: &[&str], number: usize) -> Vec<f64> {
    spoken_slowly(words, number, 1)
}

/// The same, so many times as long.
fn spoken_slowly(words: &[&str], number: usize, times: usize) -> Vec<f64> {
    let noise = |i: usize| ((i * 7919 + number * 104_729) % 1000) as f64 / 1000.0 - 0.5;
    let mut samples: Vec<f64> = Vec::new();
    for word in words {
        samples.extend(std::iter::repeat_n(0.0, GAP * times));
        let hertz = if *word == "no" { 500.0 } else { 2600.0 };
        samples.extend((0..TONE * times).map(|i| (TAU * hertz * i as f64 / f64::from(RATE)).sin() * 0.6));
    }
    samples.extend(std::iter::repeat_n(0.0, GAP * times));
    samples.iter().enumerate().map(|(i, sample)| sample + 0.04 * noise(i)).collect()
}

/// `metadata.csv` with its sounds: 24 rows of the split train, 6 of dev, 8 of test.
fn data(desk: &Desk) {
    fs::create_dir_all(desk.path("data/wavs")).unwrap();
    let mut table = "file_name,transcription,speaker,split\n".to_owned();
    for number in 0..38 {
        let words: Vec<&str> =
            (0..1 + number % 3).map(|word| if (number >> word) % 2 == 0 { "no" } else { "yes" }).collect();
        let split = if number < 24 { "train" } else { ["dev", "test"][usize::from(number >= 30)] };
        fs::write(desk.path(&format!("data/wavs/{number}.wav")), wav(&spoken(&words, number), RATE)).unwrap();
        table += &format!("wavs/{number}.wav,{},{},{split}\n", words.join(" ").to_uppercase(), number % 5);
    }
    desk.write("data/metadata.csv", &table);
}

fn parity(name: &str) -> PathBuf {
    fixture("parity").join(name)
}

const ON_CPU: [&str; 6] = ["--device", "cpu", "--threads", "1", "--precision", "fp32"];

fn recognize(model: &Path, output: &str, more: &[&str]) -> Vec<String> {
    let mut all = vec!["finetune", "--task", "speech-recognition", "--model", model.to_str().unwrap()];
    for (flag, value) in [
        ("--train", "data"),
        ("--split-column", "split"),
        ("--output", output),
        ("--batch-size", "8"),
        ("--learning-rate", "5e-3"),
        ("--epochs", "2"),
    ] {
        if !more.contains(&flag) {
            all.extend([flag, value]);
        }
    }
    all.extend(ON_CPU);
    all.extend(more);
    all.into_iter().map(str::to_owned).collect()
}

#[test]
fn tones_are_learnt_as_words_with_their_times() {
    let desk = Desk::new();
    data(&desk);
    let run = desk.retune(recognize(&parity("wav2vec2-stable-layer-norm"), "run", &["--epochs", "80"]));
    assert_done(&run);
    let said = text(&run.stderr);
    for part in [
        "the vocabulary is made of the transcripts: 5 characters",
        "the convolutions over samples stay as they are",
        "texts are compared without case and punctuation",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    let metrics = json(desk.path("run/metrics.json"));
    // So small a model over convolutions that learn nothing does not spell within a test, but its loss falls.
    let log = json_lines(&read(desk.path("run/log.jsonl")));
    let (first, last) = (log[0]["loss"].as_f64().unwrap(), metrics["train"]["final_loss"].as_f64().unwrap());
    assert!(last < 0.5 * first, "{first} {metrics}");
    for key in ["wer", "cer"] {
        assert!(metrics["test"][key].as_f64().unwrap() >= 0.0, "{metrics}");
    }
    // The convolutions are what they were.
    let (before, after) = (
        tensors(fixture("parity/wav2vec2-stable-layer-norm/model.safetensors")),
        tensors(desk.path("run/model/model.safetensors")),
    );
    let same = |name: &str| before[name] == after[name];
    assert!(same("wav2vec2.feature_extractor.conv_layers.0.conv.weight"));
    assert!(!same("wav2vec2.encoder.layers.0.attention.k_proj.weight"));
    let config = json(desk.path("run/model/config.json"));
    assert_eq!((&config["vocab_size"], &config["pad_token_id"]), (&8.into(), &7.into()));
    for file in ["vocab.json", "tokenizer_config.json", "preprocessor_config.json"] {
        assert!(desk.path("run/model").join(file).is_file(), "{file}");
    }
    let report = text(&read(desk.path("run/report.html")));
    assert!(report.contains("Word error rate") && report.contains("said as another"));

    let flags = ["--data", "data", "--split-value", "test"];
    let output = desk.retune(["evaluate", "--model", "run"].into_iter().chain(flags).chain(ON_CPU));
    assert_done(&output);
    let evaluated = json_lines(&output.stdout).remove(0);
    assert_eq!(evaluated["metrics"]["wer"], metrics["test"]["wer"]);
    let shown = evaluated["word_edits"].clone();
    let words = ["hits", "substitutions", "deletions"].map(|key| shown[key].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!(words, 15, "{evaluated}");

    let lines: String = (30..33).map(|i| format!("{}\n", desk.path(&format!("data/wavs/{i}.wav")).display())).collect();
    let words = "\\data\\\nngram 1=4\n\\1-grams:\n-9 <s>\n-1 </s>\n-0.4 no\n-0.4 yes\n\\end\\\n";
    desk.write("words.arpa", words);
    for more in [&["--ctc-beams", "1"][..], &["--ctc-beams", "4"], &["--ctc-beams", "4", "--ngram", "words.arpa"]] {
        let arguments = [&["predict", "--model", "run/model"][..], more, &ON_CPU].concat();
        let answers = json_lines(&desk.feed(&arguments, &lines).stdout);
        assert_eq!(answers.len(), 3);
        for answer in &answers {
            let words = answer["words"].as_array().unwrap();
            let joined: Vec<&str> = words.iter().map(|word| word["text"].as_str().unwrap()).collect();
            assert_eq!(answer["prediction"], joined.join(" "), "{answer}");
            let times: Vec<f64> =
                words.iter().flat_map(|word| ["start", "end"].map(|key| word[key].as_f64().unwrap())).collect();
            assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{answer}");
            assert!(times.iter().all(|&time| time <= 0.066), "{answer}");
        }
    }
    let refused = |more: &[&str], expected: &[&str]| {
        let all = [&["evaluate", "--model", "run"][..], &flags, more].concat();
        desk.refuses(&all.into_iter().map(str::to_owned).collect::<Vec<_>>(), expected);
    };
    refused(&["--ngram", "words.arpa"], &["is asked by a search alone; give --ctc-beams 100"]);
    refused(&["--ngram", "gone.arpa", "--ctc-beams", "4"], &["gone.arpa: there is no such file; give --ngram FILE"]);
    desk.write("words.arpa", &words.replace("-0.4 yes", "yes -0.4"));
    let broken = ["words.arpa:7: the logarithm of the probability `yes` is no number"];
    refused(&["--ngram", "words.arpa", "--ctc-beams", "4"], &broken);
}

#[test]
fn a_recognizer_keeps_its_vocabulary_and_other_models_get_one() {
    let desk = Desk::new();
    data(&desk);
    let model = desk.path("base");
    fs::create_dir(&model).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture("parity/hubert-speech-recognition").join(file), model.join(file)).unwrap();
    }
    // Lower case, without `s`.
    let pieces = r#"{"<pad>": 0, "|": 1, "<unk>": 2, "n": 3, "o": 4, "y": 5, "e": 6, "t": 7, "a": 8}"#;
    fs::write(model.join("vocab.json"), pieces).unwrap();
    let run = desk.retune(recognize(&model, "run", &["--method", "last:1", "--epochs", "1", "--train-front-end"]));
    assert_done(&run);
    let said = text(&run.stderr);
    assert!(said.contains("transcripts are learnt in lower case"), "{said}");
    assert!(said.contains("characters that the vocabulary lacks cannot be written: `s`"), "{said}");
    assert_eq!(read(desk.path("run/model/vocab.json")), pieces.as_bytes());
    let head = |path: &Path| tensors(path.join("model.safetensors"))["lm_head.weight"].len();
    assert_eq!(head(&desk.path("run/model")), head(&model));
    assert!(!said.contains("stay as they are"));
}

/// A language that a checkpoint with adapters has no file for is learnt, saved under its name, and known again.
#[test]
fn adapters_learn_another_language() {
    let desk = Desk::new();
    data(&desk);
    let model = parity("wav2vec2-language-adapters");
    let more = ["--method", "adapters", "--language", "xyz", "--epochs", "1", "--group-column", "speaker"];
    let run = desk.retune(recognize(&model, "run", &more));
    assert_done(&run);
    assert!(text(&run.stderr).contains("has no adapter.xyz.safetensors"));
    let pieces = json(desk.path("run/model/vocab.json"));
    assert_eq!(pieces["xyz"].as_object().unwrap().len(), 8, "{pieces}");
    let (own, whole) =
        (tensors(desk.path("run/model/adapter.xyz.safetensors")), tensors(desk.path("run/model/model.safetensors")));
    assert!(own.len() == 14 && own.iter().all(|(name, tensor)| whole[name] == *tensor));
    let metrics = json(desk.path("run/metrics.json"));
    let blanks = metrics["test"]["blank_rate"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&blanks), "{metrics}");
    let flags = ["--data", "data", "--split-value", "test"];
    let output = desk.retune(["evaluate", "--model", "run"].into_iter().chain(flags).chain(ON_CPU));
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout)[0]["metrics"]["cer"], metrics["test"]["cer"]);
    let other = ["evaluate", "--model", "run", "--language", "deu", "--data", "data"];
    desk.refuses(&other.map(str::to_owned), &["no vocabulary for the language `deu`; there are xyz"]);
    let lora = recognize(&model, "lora", &["--method", "lora", "--language", "deu"]);
    desk.refuses(&lora, &["take --method adapters"]);
    let path = recognize(&model, "other", &["--language", "../x"]);
    desk.refuses(&path, &["`../x` is no name of a language"]);
    let preset = recognize(&model, "other", &["--preset", "seq2seq-hours"]);
    desk.refuses(&preset, &["take `ctc-hours`"]);
}

#[test]
fn sounds_and_transcripts_that_cannot_be_used_are_listed_with_their_reasons() {
    let desk = Desk::new();
    let folder = desk.path("data");
    fs::create_dir(&folder).unwrap();
    let good = wav(&spoken(&["yes"], 1), RATE);
    for (name, bytes) in [
        ("good.wav", good.clone()),
        ("cut.wav", good[..good.len() - 60].to_vec()),
        ("empty.wav", Vec::new()),
        ("silent.wav", wav(&[0.0; 500], RATE)),
        ("short.wav", wav(&[0.1, 0.2, -0.1], RATE)),
        ("picture.wav", b"\x89PNG\r\n\x1a\n0000".to_vec()),
        ("long.wav", wav(&spoken(&["yes"; 9], 2), RATE)),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let names = ["good", "cut", "empty", "silent", "short", "picture", "long", "gone"];
    let rows: String = names.iter().map(|name| format!("{name}.wav,yes\n")).collect();
    desk.write("data/metadata.csv", &format!("file_name,transcription\n{rows}"));
    let mut arguments = recognize(&parity("wav2vec2-speech-recognition"), "run", &["--max-seconds", "0.1"]);
    arguments.retain(|it| it != "--split-column" && it != "split");
    desk.refuses(
        &arguments,
        &[
            "cut.wav: is cut off: it holds 370 of 400 samples",
            "empty.wav: is empty",
            "silent.wav: is silent",
            "short.wav: is 0.000 seconds long, too short for this model",
            "picture.wav: is not a WAV",
            "long.wav: is 0.2 seconds long, more than the 0.1 allowed",
            "gone.wav: there is no such file",
        ],
    );
    // Whatever is wrong, in whichever split, it is told at once.
    fs::write(folder.join("slow.wav"), wav(&spoken(&["yes"], 3), 3999)).unwrap();
    let long = "yes ".repeat(20);
    let rows = format!("good.wav,yes\nsilent.wav,yes\ngood.wav,{long}\ngood.wav,\nslow.wav,yes\n");
    desk.write("data/metadata.csv", &format!("file_name,transcription\n{rows}"));
    desk.write("data/other.csv", "file_name,transcription\ngood.wav,yes\ngone.wav,yes\n");
    let all = [&arguments[..], &["--validation".to_owned(), "data/other.csv".to_owned()]].concat();
    desk.refuses(
        &all,
        &[
            "silent.wav: is silent",
            "good.wav: its transcript of 79 characters needs 79 frames",
            "metadata.csv:5: column `transcription`: has no transcription",
            "slow.wav: has a rate of 3999 Hz, of which 4000 are needed",
            "gone.wav: there is no such file",
            "5 of 7 cannot be used",
        ],
    );
    // A transcript that no alignment can write, and one that is empty.
    desk.write("data/metadata.csv", &format!("file_name,transcription\ngood.wav,{long}\n"));
    desk.refuses(&arguments, &["good.wav: its transcript of 79 characters needs 79 frames, but the model makes 31"]);
    desk.write("data/metadata.csv", "file_name,transcription\ngood.wav,\n");
    desk.refuses(&arguments, &["metadata.csv:2: column `transcription`: has no transcription"]);
    desk.write("data/metadata.csv", "file_name,said\ngood.wav,x\n");
    desk.refuses(&arguments, &["there is no column `transcription`", "--transcription-column"]);

    data(&desk);
    desk.refuses(
        &recognize(&parity("wav2vec2-speech-recognition"), "run", &["--split-column", "part"]),
        &["there is no column `part`", "--split-column"],
    );
    let table = fs::read_to_string(desk.path("data/metadata.csv")).unwrap().replace(",train\n", ",other\n");
    desk.write("data/metadata.csv", &table);
    desk.refuses(
        &recognize(&parity("wav2vec2-speech-recognition"), "run", &[]),
        &["none of the values of `split`", "there are dev, other, test"],
    );
    desk.refuses(&recognize(&parity("vit-image-classification"), "run", &[]), &["this model takes no sounds"]);
}

/// Words of 0.3 seconds, one in each sound: 16 rows of the split train, 4 of dev, 4 of test.
fn slow_data(desk: &Desk) {
    fs::create_dir_all(desk.path("slow")).unwrap();
    let mut table = "file_name,transcription,speaker,split\n".to_owned();
    for number in 0..24 {
        let word = ["no", "yes"][number % 2];
        let split = if number < 16 { "train" } else { ["dev", "test"][usize::from(number >= 20)] };
        fs::write(desk.path(&format!("slow/{number}.wav")), wav(&spoken_slowly(&[word], number, 20), RATE)).unwrap();
        table += &format!("{number}.wav,{word},{},{split}\n", ["ann", "bob"][number / 2 % 2]);
    }
    desk.write("slow/metadata.csv", &table);
}

fn write(model: &Path, output: &str, more: &[&str]) -> Vec<String> {
    let more = [&["--train", "slow"][..], more].concat();
    recognize(model, output, &more)
}

#[test]
fn a_decoder_learns_what_is_said_and_writes_long_sounds_in_pieces() {
    let desk = Desk::new();
    slow_data(&desk);
    let model = parity("whisper-with-tokenizer");
    let flags = ["--epochs", "30", "--group-column", "speaker", "--normalization", "english"];
    let run = desk.retune(write(&model, "run", &flags));
    assert_done(&run);
    let said = text(&run.stderr);
    for part in [
        "texts are learnt behind <|startoftranscript|><|notimestamps|>",
        "English normalisation, but British spellings stay",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    let metrics = json(desk.path("run/metrics.json"));
    assert!(metrics["test"]["wer"].as_f64().unwrap() < 0.5, "{metrics}");
    for file in ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "generation_config.json"] {
        assert!(desk.path("run/model").join(file).is_file(), "{file}");
    }
    let config = json(desk.path("run/model/config.json"));
    assert_eq!(config["architectures"][0], "WhisperForConditionalGeneration");

    let flags = ["--data", "slow", "--split-value", "test"];
    let output = desk.retune(["evaluate", "--model", "run"].into_iter().chain(flags).chain(ON_CPU));
    assert_done(&output);
    let evaluated = json_lines(&output.stdout).remove(0);
    assert_eq!(evaluated["metrics"]["wer"], metrics["test"]["wer"]);
    assert_eq!(evaluated["by_group"].as_array().unwrap().len(), 2, "{evaluated}");
    assert!(evaluated["metrics"]["loss"].is_number(), "{evaluated}");

    // Four words take 1.7 seconds, and the model reads one.
    let words = ["no", "yes", "yes", "no"];
    fs::write(desk.path("long.wav"), wav(&spoken_slowly(&words, 3, 20), RATE)).unwrap();
    let line = format!("{}\n", desk.path("long.wav").display());
    for beams in ["1", "3"] {
        let arguments = [&["predict", "--model", "run/model", "--beams", beams][..], &ON_CPU].concat();
        let answer = json_lines(&desk.feed(&arguments, &line).stdout).remove(0);
        let said = answer["prediction"].as_str().unwrap();
        // So short a training knows one word in each piece; there are two pieces at least.
        assert!(said.split_whitespace().count() >= 2, "{answer}");
        assert!(said.split_whitespace().all(|word| words.contains(&word)), "{answer}");
    }

    // What a run cannot use is told before it computes.
    desk.write("slow/metadata.csv", "file_name,transcription\n0.wav,no\n../long.wav,no yes yes no\n1.wav,");
    let rows = fs::read_to_string(desk.path("slow/metadata.csv")).unwrap() + &"no ".repeat(30) + "\n";
    desk.write("slow/metadata.csv", &rows);
    let mut refused = write(&model, "other", &[]);
    refused.retain(|it| it != "--split-column" && it != "split");
    desk.refuses(&refused, &["long.wav: is 1.7 seconds long, more than the 1 that this model reads at once"]);
    desk.write("slow/metadata.csv", &rows.replace("../long.wav,no yes yes no\n", ""));
    desk.refuses(&refused, &["1.wav: its transcript has", "more than the 40 that the model has positions for"]);
    for (flags, expected) in [
        (&["--language", "german"][..], "this model knows English alone"),
        (&["--ctc-beams", "4"], "ctc-beams: the model writes by a decoder"),
    ] {
        desk.refuses(&[refused.clone(), flags.iter().map(|&it| it.to_owned()).collect()].concat(), &[expected]);
    }
    let frames = recognize(&parity("wav2vec2-speech-recognition"), "other", &["--language", "en"]);
    desk.refuses(&frames, &["language: this model has no adapters for languages"]);
}

/// Adapters on the usual projections of both stacks, sounds that change in each pass, and a run that goes on where it was stopped.
#[test]
fn adapters_on_a_decoder_learn_from_changed_sounds() {
    let desk = Desk::new();
    slow_data(&desk);
    let model = parity("whisper-with-tokenizer");
    let more =
        ["--method", "lora", "--epochs", "3", "--speed-change", "0.1", "--pitch-change", "2", "--noise-snr", "20"];
    assert_done(&desk.retune(write(&model, "run", &more)));
    let adapter = json(desk.path("run/model/adapter_config.json"));
    let mut targets: Vec<&str> =
        adapter["target_modules"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["q_proj", "v_proj"], "{adapter}");
    let log = json_lines(&read(desk.path("run/log.jsonl")));
    let metrics = json(desk.path("run/metrics.json"));
    assert!(metrics["train"]["final_loss"].as_f64().unwrap() < log[0]["loss"].as_f64().unwrap(), "{metrics}");
    let flags = ["--data", "slow", "--split-value", "test"];
    let output = desk.retune(["evaluate", "--model", "run"].into_iter().chain(flags).chain(ON_CPU));
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout)[0]["metrics"]["wer"], metrics["test"]["wer"]);
    // What frozen blocks made of sounds is read by searches, too.
    assert_done(&desk.retune(write(&model, "last", &["--method", "last:1", "--epochs", "2"])));
    let output = desk.retune(["evaluate", "--model", "last"].into_iter().chain(flags).chain(ON_CPU));
    assert_done(&output);
    let last = json(desk.path("last/metrics.json"));
    assert_eq!(json_lines(&output.stdout)[0]["metrics"]["cer"], last["test"]["cer"]);
    // The same seed hears the same sounds.
    assert_done(&desk.retune(write(&model, "again", &more)));
    let losses = |run: &str| json(desk.path(run).join("metrics.json"))["train"]["final_loss"].clone();
    assert_eq!(losses("run"), losses("again"));
    // Three wrong words are heard in the report.
    let report = text(&read(desk.path("run/report.html")));
    let wrong = metrics["test"]["wer"].as_f64().unwrap() > 0.0;
    assert_eq!(report.contains("data:audio/wav;base64,"), wrong);
}

/// Rows may be parts of a longer file.
#[test]
fn sounds_are_parts_of_their_files() {
    let desk = Desk::new();
    fs::create_dir(desk.path("data")).unwrap();
    let words = ["no", "yes", "no", "no", "yes", "yes", "no", "yes"];
    fs::write(desk.path("data/all.wav"), wav(&spoken(&words, 5), RATE)).unwrap();
    // Each word with the silence before it.
    let seconds = (TONE + GAP) as f64 / f64::from(RATE);
    let row =
        |(i, word): (usize, &&str)| format!("all.wav,{word},{},{}\n", i as f64 * seconds, (i + 1) as f64 * seconds);
    let rows: String = words.iter().enumerate().map(row).collect();
    desk.write("data/metadata.csv", &format!("file_name,transcription,from,to\n{rows}"));
    let model = parity("wav2vec2-speech-recognition");
    let mut arguments = recognize(&model, "run", &["--start-column", "from", "--end-column", "to", "--epochs", "1"]);
    arguments.retain(|it| it != "--split-column" && it != "split");
    assert_done(&desk.retune(&arguments));
    let flags = ["--data", "data/metadata.csv"];
    let output = desk.retune(["evaluate", "--model", "run"].into_iter().chain(flags).chain(ON_CPU));
    assert_done(&output);
    assert_eq!(json_lines(&output.stdout)[0]["examples"], 8);
    // As long as its part, which a word without a time is not.
    let line = format!("{{\"audio\": \"{}\", \"from\": 0.02, \"to\": 0.04}}\n", desk.path("data/all.wav").display());
    let answers = json_lines(&desk.feed(&[&["predict", "--model", "run/model"][..], &ON_CPU].concat(), &line).stdout);
    assert_eq!((&answers[0]["from"], &answers[0]["to"]), (&0.02.into(), &0.04.into()), "{answers:?}");
    let other = |it: String| if it == "run" { "other".to_owned() } else { it };
    let arguments: Vec<String> = arguments.into_iter().map(other).collect();
    let rows = "all.wav,no,0.02,0.01\nall.wav,no,soon,1\nall.wav,no,0.1,2\n";
    desk.write("data/metadata.csv", &format!("file_name,transcription,from,to\n{rows}"));
    desk.refuses(&arguments, &["is 0.01, not behind the start at 0.02", "which is no time in seconds"]);
    desk.write("data/metadata.csv", "file_name,transcription,from,to\nall.wav,no,0.1,2\n");
    desk.refuses(&arguments, &["all.wav: is 0.2 seconds long, but its row names the time 2"]);
}

fn class_folders(desk: &Desk, name: &str, first: usize, count: usize) {
    for word in ["no", "yes"] {
        fs::create_dir_all(desk.path(name).join(word)).unwrap();
        for number in first..first + count {
            let file = desk.path(name).join(word).join(format!("{number}.wav"));
            fs::write(file, wav(&spoken(&[word, word], number), RATE)).unwrap();
        }
    }
}

/// Every method trains on class folders, and what it saved answers as the run did.
#[test]
fn sounds_are_classified_by_every_method() {
    let desk = Desk::new();
    for (name, first, count) in [("train", 0, 10), ("validation", 20, 3), ("test", 30, 4)] {
        class_folders(&desk, name, first, count);
    }
    for (model, method) in [
        ("wav2vec2-audio-classification", "full"),
        ("wav2vec2-weighted-layers", "last:1"),
        ("wavlm-audio-classification", "lora"),
        ("ast-audio-classification", "head"),
        ("ast-audio-classification", "full"),
    ] {
        let run = format!("{model}-{}", method.replace(':', "-"));
        let folder = fixture("parity").join(model);
        let mut all = vec!["finetune", "--task", "audio-classification", "--model", folder.to_str().unwrap()];
        all.extend(["--train", "train", "--validation", "validation", "--test", "test", "--output", &run]);
        all.extend(["--method", method, "--learning-rate", "5e-3", "--epochs", "15", "--batch-size", "5"]);
        all.extend(ON_CPU);
        assert_done(&desk.retune(all));
        let metrics = json(desk.path(&run).join("metrics.json"));
        // Whether the two are told apart; where the decision lies takes a head alone more steps.
        assert!(metrics["test"]["auroc"].as_f64().unwrap() > 0.9, "{run}: {metrics}");
        let flags = ["--input", "test"];
        let model = format!("{run}/model");
        let output = desk.retune(["predict", "--model", &model].into_iter().chain(flags).chain(ON_CPU));
        assert_done(&output);
        let answers = json_lines(&output.stdout);
        let right = answers.iter().filter(|it| it["prediction"] == it["label"]).count();
        assert!(
            (right as f64 / 8.0 - metrics["test"]["accuracy"].as_f64().unwrap()).abs() < 1e-9,
            "{run}: {answers:?}"
        );
        assert!(desk.path(&run).join("model/preprocessor_config.json").is_file());
    }
}

/// Raw outputs and the loss of named inputs equal Hugging Face's, and inputs that do not fit are refused.
#[test]
fn raw_outputs_are_those_of_the_named_inputs() {
    let desk = Desk::new();
    for (model, task) in [
        ("wav2vec2-speech-recognition", "speech-recognition"),
        ("hubert-audio-classification", "audio-classification"),
        ("ast-audio-classification", "audio-classification"),
        ("whisper-speech-recognition", "speech-recognition"),
        ("whisper-untied", "speech-recognition"),
    ] {
        let folder = fixture("parity").join(model);
        let case = read(folder.join("case.safetensors"));
        fs::write(desk.path("in.safetensors"), inputs(&case)).unwrap();
        let flags = ["--inputs", "in.safetensors", "--outputs", "out.safetensors", "--task", task];
        let mut all = vec!["forward", "--model", folder.to_str().unwrap()];
        all.extend(flags);
        all.extend(["--device", "cpu"]);
        assert_done(&desk.retune(all));
        let (outputs, expected) = (tensors(desk.path("out.safetensors")), tensors(folder.join("case.safetensors")));
        let floats =
            |bytes: &[u8]| -> Vec<f32> { bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect() };
        for (found, name) in [("logits", "output.logits"), ("loss", "loss")] {
            let (found, expected) = (floats(&outputs[found]), floats(&expected[name]));
            let scale = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f32::max);
            assert!(found.len() == expected.len() && worst < 1e-5, "{model} {name}: {worst}");
        }
    }
    fs::write(desk.path("in.safetensors"), inputs(&read(fixture("parity/ast-audio-classification/case.safetensors"))))
        .unwrap();
    let folder = fixture("parity/wav2vec2-speech-recognition");
    let flags = ["--inputs", "in.safetensors", "--outputs", "out.safetensors", "--device", "cpu"];
    let output = desk.retune(["forward", "--model", folder.to_str().unwrap()].into_iter().chain(flags));
    assert_said(&output, 2, &["input_values", "give [batch, samples]"]);
}

/// The inputs of a case as a file of their own: names lose what stands before them.
fn inputs(case: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(case[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&case[8..8 + length]).unwrap();
    let (mut named, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, mut entry) in header {
        let Some(name) = name.strip_prefix("input.") else { continue };
        let place = |i: usize| 8 + length + entry["data_offsets"][i].as_u64().unwrap() as usize;
        let bytes = &case[place(0)..place(1)];
        let begin = data.len();
        data.extend(bytes);
        entry["data_offsets"] = serde_json::json!([begin, data.len()]);
        named.insert(name.to_owned(), entry);
    }
    let mut header = serde_json::to_vec(&Value::Object(named)).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}
