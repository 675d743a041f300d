//! Countries as records spell them: a code, or the English name that Klaviyo shows.

use phonenumber::country::Id;

/// English names and common other spellings, lower-case, of countries that shops ship to.
const NAMES: &[(&str, Id)] = &[
    ("argentina", Id::AR),
    ("australia", Id::AU),
    ("austria", Id::AT),
    ("belgium", Id::BE),
    ("brazil", Id::BR),
    ("bulgaria", Id::BG),
    ("canada", Id::CA),
    ("chile", Id::CL),
    ("china", Id::CN),
    ("colombia", Id::CO),
    ("croatia", Id::HR),
    ("cyprus", Id::CY),
    ("czech republic", Id::CZ),
    ("czechia", Id::CZ),
    ("denmark", Id::DK),
    ("egypt", Id::EG),
    ("estonia", Id::EE),
    ("finland", Id::FI),
    ("france", Id::FR),
    ("germany", Id::DE),
    ("greece", Id::GR),
    ("hong kong", Id::HK),
    ("hungary", Id::HU),
    ("iceland", Id::IS),
    ("india", Id::IN),
    ("indonesia", Id::ID),
    ("ireland", Id::IE),
    ("israel", Id::IL),
    ("italy", Id::IT),
    ("japan", Id::JP),
    ("latvia", Id::LV),
    ("lithuania", Id::LT),
    ("luxembourg", Id::LU),
    ("malaysia", Id::MY),
    ("malta", Id::MT),
    ("mexico", Id::MX),
    ("netherlands", Id::NL),
    ("new zealand", Id::NZ),
    ("norway", Id::NO),
    ("peru", Id::PE),
    ("philippines", Id::PH),
    ("poland", Id::PL),
    ("portugal", Id::PT),
    ("romania", Id::RO),
    ("saudi arabia", Id::SA),
    ("singapore", Id::SG),
    ("slovakia", Id::SK),
    ("slovenia", Id::SI),
    ("south africa", Id::ZA),
    ("south korea", Id::KR),
    ("spain", Id::ES),
    ("sweden", Id::SE),
    ("switzerland", Id::CH),
    ("taiwan", Id::TW),
    ("thailand", Id::TH),
    ("the netherlands", Id::NL),
    ("turkey", Id::TR),
    ("uk", Id::GB),
    ("ukraine", Id::UA),
    ("united arab emirates", Id::AE),
    ("united kingdom", Id::GB),
    ("united states", Id::US),
    ("united states of america", Id::US),
    ("usa", Id::US),
    ("vietnam", Id::VN),
];

/// The country that a text names. Others are not guessed: a number read in the wrong country would
/// be somebody else's.
pub(super) fn id(text: &str) -> Option<Id> {
    let name = text.trim().to_lowercase();
    if let Ok(at) = NAMES.binary_search_by(|(known, _)| (*known).cmp(name.as_str())) {
        return NAMES.get(at).map(|(_, id)| *id);
    }
    name.to_uppercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order_for_the_search() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| *name));
        assert_eq!(id(" United Kingdom "), Some(Id::GB));
        assert_eq!(id("gb"), Some(Id::GB));
        assert_eq!(id(""), None);
    }
}
