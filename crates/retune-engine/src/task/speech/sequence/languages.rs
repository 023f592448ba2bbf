//! Languages by name: Whisper's own list.

/// Code and name; some have several names.
const LANGUAGES: &str = "en english,zh chinese,zh mandarin,de german,es spanish,es castilian,ru russian,ko korean,fr french,\
    ja japanese,pt portuguese,tr turkish,pl polish,ca catalan,ca valencian,nl dutch,nl flemish,ar arabic,sv swedish,it italian,\
    id indonesian,hi hindi,fi finnish,vi vietnamese,he hebrew,iw hebrew,uk ukrainian,el greek,ms malay,cs czech,ro romanian,\
    ro moldavian,ro moldovan,da danish,hu hungarian,ta tamil,no norwegian,th thai,ur urdu,hr croatian,bg bulgarian,\
    lt lithuanian,la latin,mi maori,ml malayalam,cy welsh,sk slovak,te telugu,fa persian,lv latvian,bn bengali,sr serbian,\
    az azerbaijani,sl slovenian,kn kannada,et estonian,mk macedonian,br breton,eu basque,is icelandic,hy armenian,ne nepali,\
    mn mongolian,bs bosnian,kk kazakh,sq albanian,sw swahili,gl galician,mr marathi,pa punjabi,pa panjabi,si sinhala,\
    si sinhalese,km khmer,sn shona,yo yoruba,so somali,af afrikaans,oc occitan,ka georgian,be belarusian,tg tajik,sd sindhi,\
    gu gujarati,am amharic,yi yiddish,lo lao,uz uzbek,fo faroese,ht haitian creole,ht haitian,ps pashto,ps pushto,tk turkmen,\
    nn nynorsk,mt maltese,sa sanskrit,lb luxembourgish,lb letzeburgesch,my myanmar,my burmese,bo tibetan,tl tagalog,\
    mg malagasy,as assamese,tt tatar,haw hawaiian,ln lingala,ha hausa,ba bashkir,jw javanese,su sundanese,yue cantonese";

/// Codes that a language may have: the one that is given, of `<|de|>` what stands inside, or those of a name such as `german`.
pub(super) fn codes(language: &str) -> Vec<String> {
    let language = language.trim().to_lowercase();
    let inside = language.strip_prefix("<|").and_then(|rest| rest.strip_suffix("|>")).unwrap_or(&language);
    let named = LANGUAGES.split(',').filter_map(|one| one.split_once(' ')).filter(|(_, name)| *name == inside);
    std::iter::once(inside.to_owned()).chain(named.map(|(code, _)| code.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_codes_and_names() {
        assert_eq!(codes("de"), ["de"]);
        assert_eq!(codes("<|de|>"), ["de"]);
        assert_eq!(codes(" German "), ["german", "de"]);
        assert_eq!(codes("haitian creole"), ["haitian creole", "ht"]);
        assert_eq!(codes("hebrew"), ["hebrew", "he", "iw"]);
    }
}
