//! Several texts at once for each prompt, of which the likeliest is taken: beam search.
//!
//! transformers' `_beam_search`. B prompts, N beams, V vocabulary.

use super::rows::{Limits, Row};
use super::scores::ruled;
use super::{Continuation, EarlyStopping, GenerationSettings, Prompts, Steps};
use crate::ModelError;
use retune_kernels::tch::{Kind, Tensor};

/// What stands for a text that is not there.
const NONE: f32 = -1.0e9;

#[derive(Debug, Clone)]
struct Beam {
    row: Row,
    /// Summed log-probability; of finished texts divided by a power of their length.
    score: f32,
}

/// The beams of one prompt.
struct Search {
    prompt: usize,
    open: Vec<Beam>,
    finished: Vec<Beam>,
    may_improve: bool,
}

/// One way to go on.
struct Candidate {
    from: usize,
    beam: Beam,
    ends: bool,
}

pub(super) fn search(
    steps: &mut dyn Steps,
    prompts: &Prompts,
    settings: &GenerationSettings,
    limits: Limits,
) -> Result<Vec<Continuation>, ModelError> {
    let beams = settings.beams;
    let mut done: Vec<Continuation> = vec![Continuation::default(); prompts.rows.len()];
    let start = |(prompt, row): (usize, &Row)| {
        // Only the first counts: all others are the same as yet.
        let beam = |i: usize| Beam { row: row.clone(), score: if i == 0 { 0.0 } else { NONE } };
        Search { prompt, open: (0..beams).map(beam).collect(), finished: Vec::new(), may_improve: true }
    };
    let mut searches: Vec<Search> = prompts.rows.iter().enumerate().map(start).collect();
    let mut scores = steps.step(&prompts.ids)?;
    let device = scores.device();
    let repeated: Vec<i64> = (0..searches.len() as i64).flat_map(|row| vec![row; beams]).collect();
    let rows = Tensor::from_slice(&repeated).to_device(device);
    steps.choose(&rows);
    scores = scores.index_select(0, &rows);
    let kept = (1 + settings.ends.len()).max(2) * beams;
    loop {
        let vocabulary = scores.size()[1];
        let all: Vec<Row> = searches.iter().flat_map(|s| s.open.iter().map(|beam| beam.row.clone())).collect();
        let log_shares = ruled(scores.log_softmax(-1, Kind::Float), &all, settings, limits);
        let so_far: Vec<f32> = searches.iter().flat_map(|s| s.open.iter().map(|beam| beam.score)).collect();
        let sums = log_shares + Tensor::from_slice(&so_far).to_device(device).unsqueeze(1);
        let sums = sums.view([searches.len() as i64, beams as i64 * vocabulary]);
        let (best, places) = sums.topk((kept as i64).min(beams as i64 * vocabulary), -1, true, true);
        let mut chosen = Vec::new();
        let mut still = Vec::new();
        for (index, mut search) in searches.into_iter().enumerate() {
            let scores = Vec::<f32>::try_from(best.get(index as i64))?;
            let places = Vec::<i64>::try_from(places.get(index as i64))?;
            let candidates = scores.into_iter().zip(places).map(|(score, place)| {
                let (from, token) = ((place / vocabulary) as usize, place % vocabulary);
                let mut row = search.open[from].row.clone();
                row.tokens.push(token);
                let ends = settings.ends.contains(&token) || row.tokens.len() >= limits.of(&row);
                Candidate { from, beam: Beam { row, score }, ends }
            });
            let candidates: Vec<Candidate> = candidates.collect();
            let origins = search.advance(candidates, settings, limits);
            match origins {
                Some(origins) => {
                    chosen.extend(origins.into_iter().map(|from| (index * beams + from) as i64));
                    still.push(search);
                }
                None => {
                    let prompt = search.prompt;
                    done[prompt] = search.best(limits);
                }
            }
        }
        searches = still;
        if searches.is_empty() {
            return Ok(done);
        }
        steps.choose(&Tensor::from_slice(&chosen).to_device(device));
        let last: Vec<i64> =
            searches.iter().flat_map(|s| s.open.iter().filter_map(|beam| beam.row.tokens.last().copied())).collect();
        scores = steps.step(&Tensor::from_slice(&last).to_device(device).unsqueeze(1))?;
    }
}

impl Search {
    /// Goes on with the best of `candidates`, which are sorted; returns the beams that they continue, or `None` at the end.
    fn advance(
        &mut self,
        candidates: Vec<Candidate>,
        settings: &GenerationSettings,
        limits: Limits,
    ) -> Option<Vec<usize>> {
        let beams = settings.beams;
        let eager = settings.early_stopping == EarlyStopping::Yes;
        let full = self.finished.len() >= beams;
        let no_way_on = candidates.iter().all(|candidate| candidate.ends);
        let length = candidates.first().map_or(0, |candidate| candidate.beam.row.tokens.len() - limits.prompt);
        let longest = candidates.first().map_or(limits.longest, |candidate| limits.of(&candidate.beam.row));
        let by_length = |length: usize| (length as f64).powf(settings.length_penalty) as f32;
        if self.may_improve && !(full && eager) {
            // Only what is among the best beams counts as finished; the others are there to go on with.
            for candidate in candidates.iter().take(beams).filter(|candidate| candidate.ends) {
                let score = candidate.beam.score / by_length(length);
                if score > NONE / 2.0 {
                    self.finished.push(Beam { score, ..candidate.beam.clone() });
                }
            }
            self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
            self.finished.truncate(beams);
        }
        let (mut open, mut origins) = (Vec::new(), Vec::new());
        for candidate in candidates.into_iter().filter(|candidate| !candidate.ends).take(beams) {
            origins.push(candidate.from);
            open.push(candidate.beam);
        }
        self.open = open;
        let best_length = match settings.early_stopping {
            EarlyStopping::Never if settings.length_penalty > 0.0 => longest - limits.prompt,
            _ => length,
        };
        let full = self.finished.len() >= beams;
        let best_open = self.open.first().map_or(NONE, |beam| beam.score) / by_length(best_length);
        let worst_finished = if full { self.finished.last().map_or(NONE, |beam| beam.score) } else { NONE };
        self.may_improve &= best_open > worst_finished;
        let goes_on = self.may_improve && !(full && eager) && !no_way_on && self.open.len() == beams;
        goes_on.then_some(origins)
    }

    fn best(self, limits: Limits) -> Continuation {
        let Some(mut best) = self.finished.into_iter().chain(self.open).next() else { return Continuation::default() };
        Continuation { tokens: best.row.tokens.split_off(limits.prompt), score: f64::from(best.score) }
    }
}
