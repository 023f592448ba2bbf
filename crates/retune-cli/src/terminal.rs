//! Progress on standard error: bars on a terminal, a few plain lines elsewhere.

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use retune_engine::evaluate::Scored;
use retune_engine::observer::RunFacts;
use retune_engine::step::StepReport;
use retune_engine::{Control, Observer, number};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Weight of the past in the shown loss and speed.
const SMOOTHING: f64 = 0.9;
/// Progress lines per training without a terminal.
const LINES: u64 = 5;
/// Metrics that have a place in the line of an evaluation.
const MAIN_METRICS: usize = 3;
/// Steps that are left out of the first measure of speed, as they make room for all others; how many steps and seconds it takes.
const UNTIMED: u64 = 2;
const TIMED: u64 = 3;
const TIMED_SECONDS: f64 = 5.0;
/// Trainings that take longer than this say so in time, in seconds.
const LONG: f64 = 300.0;
/// Other long work without a terminal says where it is this often.
const PATIENCE: Duration = Duration::from_secs(60);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Bars,
    Lines,
    Silent,
}

impl Style {
    /// What standard error can show.
    pub(crate) fn detect(quiet: bool) -> Self {
        match quiet {
            true => Self::Silent,
            false if std::io::stderr().is_terminal() => Self::Bars,
            false => Self::Lines,
        }
    }
}

/// The observer that shows a run to a person.
pub(crate) struct Terminal<W> {
    style: Style,
    bars: MultiProgress,
    out: W,
    training: Option<ProgressBar>,
    other: Option<Other>,
    metrics: Vec<&'static str>,
    total: u64,
    last_line: u64,
    epoch: f64,
    smooth: Smooth,
    expected: Expected,
}

/// Work beside training.
struct Other {
    what: String,
    bar: Option<ProgressBar>,
    told: Instant,
}

/// Running means of loss and speed.
#[derive(Default)]
struct Smooth {
    weight: f64,
    loss: f64,
    seconds: f64,
    examples: f64,
}

impl Smooth {
    fn add(&mut self, report: &StepReport) {
        let mix = |old: f64, new: f64| SMOOTHING * old + (1.0 - SMOOTHING) * new;
        self.weight = mix(self.weight, 1.0);
        self.loss = mix(self.loss, report.loss);
        self.seconds = mix(self.seconds, report.seconds);
        self.examples = mix(self.examples, report.examples as f64);
    }

    fn describe(&self, learning_rate: f64) -> String {
        let loss = number::value(self.loss / self.weight);
        let speed = number::rate(self.examples / self.seconds);
        format!("loss {loss}  lr {learning_rate:.1e}  {speed} examples/s")
    }
}

/// How long a training takes, as soon as that can be known.
#[derive(Default)]
struct Expected {
    seen: u64,
    steps: u64,
    seconds: f64,
    told: bool,
}

impl Expected {
    /// What to say of the time that is left, once: after enough steps, where it is long.
    fn add(&mut self, report: &StepReport, total: u64) -> Option<String> {
        self.seen += 1;
        if self.told || self.seen <= UNTIMED {
            return None;
        }
        self.steps += 1;
        self.seconds += report.seconds;
        if self.steps < TIMED || self.seconds < TIMED_SECONDS {
            return None;
        }
        self.told = true;
        let each = self.seconds / self.steps as f64;
        let left = total.saturating_sub(report.step);
        let rest = each * left as f64;
        (rest >= LONG).then(|| {
            format!(
                "  {} steps are left, {} each: about {}, and the evaluations",
                number::count(left),
                number::duration(each),
                number::duration(rest)
            )
        })
    }
}

impl<W: Write> Terminal<W> {
    /// Shows bars through `bars`, and lines on `out`.
    pub(crate) fn new(style: Style, bars: MultiProgress, out: W) -> Self {
        Self {
            style,
            bars,
            out,
            training: None,
            other: None,
            metrics: Vec::new(),
            total: 0,
            last_line: 0,
            epoch: 0.0,
            smooth: Smooth::default(),
            expected: Expected::default(),
        }
    }

    /// One line above the bars. A standard error that nobody reads is no reason to stop training.
    pub(crate) fn line(&mut self, text: &str) {
        if self.style != Style::Silent {
            let (out, text) = (&mut self.out, number::plain(text));
            self.bars.suspend(|| {
                let _ = writeln!(out, "{text}").and_then(|()| out.flush());
            });
        }
    }

    /// Takes all bars away.
    pub(crate) fn clear(&mut self) {
        let bars = self.training.take().into_iter().chain(self.other.take().and_then(|other| other.bar));
        bars.for_each(|bar| bar.finish_and_clear());
    }

    fn bar(&self, total: u64, template: &str) -> Option<ProgressBar> {
        let style = ProgressStyle::with_template(template).ok()?.progress_chars("━╸─");
        (self.style == Style::Bars).then(|| self.bars.add(ProgressBar::new(total)).with_style(style))
    }

    fn begin(&mut self, what: &str, total: usize) {
        self.end_other();
        let download = what.starts_with("downloading ");
        if download {
            let size = if total == 0 { String::new() } else { format!(" ({})", number::bytes(total as u64)) };
            self.line(&format!("· {what}{size}"));
        }
        let template = match (download, total) {
            (true, 0) => "  {prefix} {bytes}",
            (true, _) => "  {prefix} {bar:24} {bytes}/{total_bytes} {eta}",
            (false, _) => "  {prefix} {bar:24} {human_pos}/{human_len} {eta}",
        };
        let bar = self.bar(total as u64, template).map(|bar| bar.with_prefix(what.to_owned()));
        self.other = Some(Other { what: what.to_owned(), bar, told: Instant::now() });
    }

    fn end_other(&mut self) {
        if let Some(bar) = self.other.take().and_then(|other| other.bar) {
            bar.finish_and_clear();
        }
    }
}

impl<W: Write + Send> Observer for Terminal<W> {
    fn on_message(&mut self, message: &str) {
        self.end_other();
        self.line(&format!("· {}", message.trim_end().replace('\n', "\n  ")));
    }

    fn on_progress(&mut self, what: &str, done: usize, total: usize) {
        if self.other.as_ref().is_none_or(|other| other.what != what) {
            self.begin(what, total);
        }
        let Some(other) = &mut self.other else { return };
        if let Some(bar) = &other.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else if other.told.elapsed() >= PATIENCE {
            other.told = Instant::now();
            let of = if total == 0 { String::new() } else { format!(" of {}", number::count(total as u64)) };
            let text = format!("  {what}: {}{of}", number::count(done as u64));
            self.line(&text);
        }
        // A total of 0 is one that is not known yet.
        if total > 0 && done >= total {
            self.end_other();
        }
    }

    fn on_start(&mut self, facts: &RunFacts) -> Result<()> {
        self.clear();
        (self.total, self.last_line) = (facts.total_steps, facts.first_step);
        self.metrics = facts.metrics.clone();
        (self.smooth, self.expected) = (Smooth::default(), Expected::default());
        let epochs = facts.total_steps as f64 / facts.steps_per_epoch.max(1) as f64;
        let resumed = if facts.first_step > 0 { format!(", from step {}", facts.first_step) } else { String::new() };
        let steps = number::count(facts.total_steps);
        self.line(&format!("{}: {steps} steps, {epochs:.1} epochs{resumed}", facts.title));
        self.training = self.bar(facts.total_steps, "  {bar:30} {human_pos}/{human_len}  {msg}  {eta} left");
        if let Some(bar) = &self.training {
            bar.set_position(facts.first_step);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Ok(())
    }

    fn on_step(&mut self, report: &StepReport) -> Result<Control> {
        self.epoch = report.epoch;
        self.smooth.add(report);
        if let Some(text) = self.expected.add(report, self.total) {
            self.line(&text);
        }
        if let Some(bar) = &self.training {
            bar.set_position(report.step);
            bar.set_message(self.smooth.describe(report.learning_rate));
        } else if report.step * LINES / self.total.max(1) > self.last_line * LINES / self.total.max(1) {
            self.last_line = report.step;
            let text =
                format!("  step {} of {}  {}", report.step, self.total, self.smooth.describe(report.learning_rate));
            self.line(&text);
        }
        Ok(Control::Continue)
    }

    fn on_evaluation(&mut self, step: u64, scored: &Scored, improved: bool) -> Result<Control> {
        self.end_other();
        let loss = scored.loss.map_or_else(String::new, |loss| format!("  loss {}", number::value(loss)));
        let known = self.metrics.iter().filter_map(|name| Some((name, *scored.evaluation.metrics.get(*name)?)));
        let metrics: String =
            known.take(MAIN_METRICS).map(|(name, value)| format!("  {name} {}", number::value(value))).collect();
        let star = if improved { "  ★ best" } else { "" };
        self.line(&format!("  epoch {:.1}  step {step}  validation{loss}{metrics}{star}", self.epoch));
        Ok(Control::Continue)
    }

    fn on_end(&mut self) -> Result<()> {
        self.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_engine::metric::Evaluation;

    fn run(style: Style, steps: u64) -> String {
        let bars = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let mut text = Vec::new();
        let mut terminal = Terminal::new(style, bars, &mut text);
        terminal.on_message("no GPU\nusing the CPU\n");
        terminal.on_progress("downloading model.safetensors", 0, 90_900_000);
        (0..=1000).for_each(|done| terminal.on_progress("tokenization", done, 1000));
        let facts = RunFacts {
            title: "fine-tuning".into(),
            total_steps: steps,
            first_step: 0,
            steps_per_epoch: 50,
            metrics: vec!["f1", "accuracy"],
        };
        terminal.on_start(&facts).unwrap();
        for step in 1..=steps {
            let report =
                StepReport { step, loss: 0.5, examples: 32, seconds: 0.1, epoch: 1.0, ..StepReport::default() };
            assert_eq!(terminal.on_step(&report).unwrap(), Control::Continue);
        }
        let mut evaluation = Evaluation::default();
        evaluation.metrics.extend([("accuracy".to_owned(), 0.9), ("zeta".to_owned(), 0.1)]);
        let scored = Scored { evaluation, loss: Some(0.31), judged: Vec::new(), decision: None, seconds: 0.0 };
        terminal.on_evaluation(steps, &scored, true).unwrap();
        terminal.on_end().unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn without_a_terminal_there_are_a_few_plain_lines() {
        let text = run(Style::Lines, 1000);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert_eq!(text.matches("examples/s").count(), 5, "{text}");
        assert!(text.starts_with("· no GPU\n  using the CPU\n"), "{text}");
        assert!(text.contains("  epoch 1.0  step 1000  validation  loss 0.310  accuracy 0.900  ★ best\n"), "{text}");
        assert!(text.contains("loss 0.500  lr 0.0e0  320 examples/s"), "{text}");
        assert_eq!(run(Style::Lines, 3).matches("examples/s").count(), 3);
    }

    #[test]
    fn a_long_training_says_once_how_long_it_takes() {
        let told = |style: Style, steps: u64, seconds: f64| {
            let bars = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
            let mut text = Vec::new();
            let mut terminal = Terminal::new(style, bars, &mut text);
            let facts = RunFacts {
                title: "fine-tuning".into(),
                total_steps: steps,
                first_step: 0,
                steps_per_epoch: 50,
                metrics: vec!["map"],
            };
            terminal.on_start(&facts).unwrap();
            for step in 1..=20 {
                // The first ones take longer.
                let seconds = if step <= 2 { 20.0 } else { seconds };
                let report = StepReport { step, loss: 0.5, examples: 8, seconds, epoch: 1.0, ..StepReport::default() };
                terminal.on_step(&report).unwrap();
            }
            let text = String::from_utf8(text).unwrap().replace('\u{a0}', " ");
            text.lines().filter(|line| line.contains("about")).map(str::to_owned).collect::<Vec<_>>()
        };
        let expected = "  995 steps are left, 2.0 s each: about 33 min 10 s, and the evaluations";
        assert_eq!(told(Style::Lines, 1000, 2.0), [expected]);
        assert_eq!(told(Style::Bars, 1000, 2.0), [expected]);
        assert_eq!(
            told(Style::Lines, 10_000, 0.5),
            ["  9,988 steps are left, 0.5 s each: about 1 h 23 min, and the evaluations"]
        );
        assert!(told(Style::Lines, 100, 2.0).is_empty() && told(Style::Silent, 1000, 2.0).is_empty());
    }

    #[test]
    fn a_download_of_unknown_size_is_one_line() {
        let bars = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let mut text = Vec::new();
        let mut terminal = Terminal::new(Style::Lines, bars, &mut text);
        (0..9).for_each(|part| terminal.on_progress("downloading wheel", part * 1000, 0));
        terminal.on_progress("downloading config.json", 0, 5000);
        assert_eq!(String::from_utf8(text).unwrap(), "· downloading wheel\n· downloading config.json (5 kB)\n");
    }

    #[test]
    fn bars_leave_only_lines_that_stay() {
        let text = run(Style::Bars, 20);
        assert!(!text.contains("examples/s") && text.contains("★ best"), "{text}");
        assert_eq!(run(Style::Silent, 20), "");
    }
}
