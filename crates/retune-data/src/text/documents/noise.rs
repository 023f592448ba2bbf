//! Denoising: which pieces of a text are taken out for a model to write again.
//!
//! Span corruption of T5 (Raffel et al. 2020): spans of about three tokens, 15 % of all, each become a sentinel, and what is written
//! are the sentinels with what they stand for. Text infilling of BART (Lewis et al. 2020): spans whose lengths are Poisson's,
//! 30 % of all tokens, each become one mask (spans of no token are a mask that stands for nothing), and the whole text is written.
//! BART also had the sentences put into another order before.

use std::sync::Arc;

use crate::Random;

/// What stands for the pieces that are taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoiseTokens {
    /// A token for each span, in their order; what is written is what they stand for.
    Sentinels(Arc<[u32]>),
    /// One token for every span; what is written is the whole text.
    Mask(u32),
}

/// How texts are made noisy.
#[derive(Debug, Clone)]
pub struct NoiseOptions {
    /// What stands for the pieces.
    pub tokens: NoiseTokens,
    /// Share of the tokens that is taken out.
    pub share: f64,
    /// Mean length of a span, in tokens.
    pub span: f64,
    /// Which sentences change places before.
    pub sentences: Option<SentenceOrder>,
}

/// Sentences that change places, as BART's `permute_sentence_ratio` has it.
#[derive(Debug, Clone)]
pub struct SentenceOrder {
    /// Share of the sentences of a text, above 0 and up to 1.
    pub share: f64,
    /// Tokens that end a sentence, by number; behind several of them one ends.
    pub ends: Arc<[bool]>,
}

/// A text that was made noisy, without special tokens around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noisy {
    pub(super) read: Vec<u32>,
    pub(super) written: Vec<u32>,
}

impl NoiseOptions {
    /// Takes some of the `tokens` out; one at least, where there is one.
    pub(super) fn draw(&self, tokens: &[u32], random: &mut Random) -> Noisy {
        match (&self.tokens, &self.sentences) {
            (NoiseTokens::Sentinels(sentinels), _) => self.spans(tokens, sentinels, random),
            (NoiseTokens::Mask(mask), None) => self.infilling(tokens, *mask, random),
            (NoiseTokens::Mask(mask), Some(order)) => {
                let Noisy { read, .. } = self.infilling(&order.draw(tokens, random), *mask, random);
                Noisy { read, written: tokens.to_vec() }
            }
        }
    }

    fn spans(&self, tokens: &[u32], sentinels: &[u32], random: &mut Random) -> Noisy {
        let all = tokens.len();
        let most = all.saturating_sub(1).max(1).min(all);
        let noise = ((all as f64 * self.share).round() as usize).clamp(1.min(all), most);
        let kept = all - noise;
        let spans = ((noise as f64 / self.span).round() as usize).clamp(1.min(noise), noise);
        let spans = spans.min(kept.max(1)).min(sentinels.len());
        let (mut read, mut written) = (Vec::with_capacity(kept + spans), Vec::with_capacity(noise + spans));
        let kept = if kept == 0 { vec![0; spans] } else { parts(kept, spans, random) };
        let noise = parts(noise, spans, random);
        let mut at = 0;
        for ((kept, noise), &sentinel) in kept.into_iter().zip(noise).zip(sentinels) {
            read.extend(&tokens[at..at + kept]);
            read.push(sentinel);
            written.push(sentinel);
            written.extend(&tokens[at + kept..at + kept + noise]);
            at += kept + noise;
        }
        Noisy { read, written }
    }

    fn infilling(&self, tokens: &[u32], mask: u32, random: &mut Random) -> Noisy {
        let all = tokens.len();
        let noise = ((all as f64 * self.share).ceil() as usize).clamp(1.min(all), all);
        let (mut spans, mut taken) = (Vec::new(), 0);
        while taken < noise {
            let length = poisson(self.span, random).min(noise - taken);
            spans.push(length);
            taken += length;
        }
        // Any order of spans and kept tokens is as likely as another.
        let mut is_span = vec![false; all - noise + spans.len()];
        is_span[..spans.len()].fill(true);
        random.shuffle(&mut is_span);
        let (mut read, mut at, mut spans) = (Vec::with_capacity(is_span.len()), 0, spans.into_iter());
        for span in is_span {
            if span {
                read.push(mask);
                at += spans.next().unwrap_or(0);
            } else {
                read.push(tokens[at]);
                at += 1;
            }
        }
        Noisy { read, written: tokens.to_vec() }
    }
}

impl SentenceOrder {
    /// The same tokens with their sentences in another order. What follows the last end of a sentence is one too.
    fn draw(&self, tokens: &[u32], random: &mut Random) -> Vec<u32> {
        let ends = |place: usize| {
            tokens.get(place).is_some_and(|&token| self.ends.get(token as usize).copied().unwrap_or(false))
        };
        let last = |place: &usize| *place + 1 == tokens.len() || ends(*place) && !ends(*place + 1);
        let (mut sentences, mut begin) = (Vec::new(), 0);
        for place in (0..tokens.len()).filter(last) {
            sentences.push(&tokens[begin..=place]);
            begin = place + 1;
        }
        let count = ((sentences.len() as f64 * self.share).ceil() as usize).min(sentences.len());
        let mut places: Vec<usize> = (0..sentences.len()).collect();
        random.shuffle(&mut places);
        places.truncate(count);
        let mut from = places.clone();
        random.shuffle(&mut from);
        let mut order: Vec<usize> = (0..sentences.len()).collect();
        for (place, from) in places.into_iter().zip(from) {
            order[place] = from;
        }
        order.into_iter().flat_map(|sentence| sentences[sentence]).copied().collect()
    }
}

/// So many items in so many parts, none of them empty; any such division is as likely as another.
fn parts(items: usize, parts: usize, random: &mut Random) -> Vec<usize> {
    let mut ends = vec![false; items.saturating_sub(1)];
    let inner = parts.saturating_sub(1).min(ends.len());
    ends[..inner].fill(true);
    random.shuffle(&mut ends);
    let (mut lengths, mut length) = (Vec::with_capacity(parts), 0);
    for end in ends {
        length += 1;
        if end {
            lengths.push(length);
            length = 0;
        }
    }
    if items > 0 {
        lengths.push(length + 1);
    }
    lengths
}

/// A draw from Poisson's distribution (Knuth).
fn poisson(mean: f64, random: &mut Random) -> usize {
    let (limit, mut product, mut count) = ((-mean).exp(), random.unit(), 0);
    while product > limit {
        product *= random.unit();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(tokens: NoiseTokens) -> NoiseOptions {
        let share = if matches!(tokens, NoiseTokens::Mask(_)) { 0.3 } else { 0.15 };
        NoiseOptions { tokens, share, span: 3.0, sentences: None }
    }

    /// The text again, of what is read and what is written for its sentinels.
    fn put_together(noisy: &Noisy, is_sentinel: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut text = Vec::new();
        for &token in &noisy.read {
            if is_sentinel(token) {
                let begin = noisy.written.iter().position(|&it| it == token).unwrap() + 1;
                text.extend(noisy.written[begin..].iter().take_while(|&&it| !is_sentinel(it)));
            } else {
                text.push(token);
            }
        }
        text
    }

    #[test]
    fn sentinels_stand_for_what_is_written() {
        let spans = options(NoiseTokens::Sentinels((1000..1100).rev().collect()));
        for length in [1, 2, 3, 7, 100, 512] {
            let text: Vec<u32> = (0..length).collect();
            for seed in 0..20 {
                let noisy = spans.draw(&text, &mut Random::at(&[seed, u64::from(length)]));
                assert_eq!(put_together(&noisy, |token| token >= 1000), text);
                let sentinels = noisy.read.iter().filter(|&&token| token >= 1000).count();
                let noise = noisy.written.len() - sentinels;
                assert_eq!(noise, ((f64::from(length) * 0.15).round() as usize).max(1));
                assert_eq!(sentinels, ((noise as f64 / 3.0).round() as usize).max(1));
                assert_eq!(noisy.written[0], 1099);
            }
        }
        assert!(spans.draw(&[], &mut Random::at(&[1])).read.is_empty());
    }

    #[test]
    fn masks_stand_for_any_number_of_tokens() {
        let infilling = options(NoiseTokens::Mask(999));
        let (mut masks, mut kept) = (0, 0);
        for seed in 0..200 {
            let text: Vec<u32> = (0..100).collect();
            let noisy = infilling.draw(&text, &mut Random::at(&[seed]));
            assert_eq!(noisy.written, text);
            let left: Vec<u32> = noisy.read.iter().copied().filter(|&token| token != 999).collect();
            assert!(left.is_sorted() && left.len() == 70, "{left:?}");
            masks += noisy.read.len() - left.len();
            kept += left.len();
        }
        // 30 tokens in spans of three, cut at the end, those of no token among them: ten and a half.
        let each = masks as f64 / 200.0;
        assert!(kept == 14_000 && (each - 10.5).abs() < 0.7, "{each}");
        let one = infilling.draw(&[5], &mut Random::at(&[3]));
        assert!(one.read.iter().all(|&token| token == 999) && one.written == [5]);
    }

    #[test]
    fn sentences_change_places() {
        // Sentences of 1, 2, …, 5 tokens and an end each, two of the third, and a rest without one.
        let text: Vec<u32> = vec![1, 0, 2, 2, 0, 3, 3, 3, 0, 0, 4, 4, 4, 4, 0, 5, 5];
        let order = |share| SentenceOrder { share, ends: vec![true].into() };
        let mut moved = [0usize; 3];
        for seed in 0..300 {
            for (place, share) in [0.2, 0.5, 1.0].into_iter().enumerate() {
                let drawn = order(share).draw(&text, &mut Random::at(&[seed]));
                let sentences: Vec<&[u32]> = drawn.chunk_by(|a, b| a == b || *b == 0).collect();
                let mut sorted: Vec<u32> = sentences.iter().map(|sentence| sentence[0]).collect();
                moved[place] += sorted.iter().zip(1..).filter(|(number, place)| *number != place).count();
                sorted.sort_unstable();
                assert_eq!(sorted, [1, 2, 3, 4, 5], "{drawn:?}");
                assert_eq!(sentences.iter().map(|sentence| sentence.len()).sum::<usize>(), text.len());
            }
        }
        // Of one sentence none moves, of three and of five one stays on average.
        assert!(moved[0] == 0 && moved[1].abs_diff(600) < 90 && moved[2].abs_diff(1200) < 90, "{moved:?}");
        let noise = NoiseOptions { sentences: Some(order(1.0)), ..options(NoiseTokens::Mask(999)) };
        let noisy = noise.draw(&text, &mut Random::at(&[5]));
        assert_eq!(noisy.written, text);
        assert_ne!(noisy, options(NoiseTokens::Mask(999)).draw(&text, &mut Random::at(&[5])));
        assert!(order(1.0).draw(&[], &mut Random::at(&[1])).is_empty());
    }

    #[test]
    fn divisions_are_whole() {
        let mut random = Random::at(&[4]);
        assert_eq!((parts(0, 0, &mut random), parts(5, 5, &mut random)), (vec![], vec![1; 5]));
        let mut first = [0usize; 8];
        for _ in 0..6000 {
            let lengths = parts(9, 2, &mut random);
            assert!(lengths.len() == 2 && lengths.iter().sum::<usize>() == 9 && !lengths.contains(&0));
            first[lengths[0] - 1] += 1;
        }
        assert!(first.iter().all(|&count| count.abs_diff(750) < 150), "{first:?}");
    }
}
