//! Names, places and wares. Local parts of addresses are made of things and numbers, so that nobody real is
//! meant; nothing is ever sent to them.

/// First names.
pub(super) const FIRST: [&str; 24] = [
    "Ada", "Ben", "Clara", "David", "Elif", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kira",
    "Leo", "Mara", "Nils", "Olga", "Paul", "Quinn", "Rosa", "Sven", "Tara", "Uwe", "Vera", "Wim",
    "Zoe",
];

/// Last names.
pub(super) const LAST: [&str; 24] = [
    "Alderbrook",
    "Birchfield",
    "Copperhill",
    "Dunmere",
    "Elmsworth",
    "Fernhollow",
    "Glenmoor",
    "Hazelgrove",
    "Ironbridge",
    "Juniperlow",
    "Kestrelby",
    "Larkmead",
    "Mossbank",
    "Nettlecombe",
    "Oakenshaw",
    "Pinecrest",
    "Quarrydale",
    "Rowanthorpe",
    "Saltmarsh",
    "Thistledown",
    "Umberfold",
    "Valeford",
    "Willowbank",
    "Yarrowfield",
];

/// First halves of local parts.
pub(super) const COLOURS: [&str; 16] = [
    "amber", "azure", "coral", "crimson", "ebony", "golden", "indigo", "ivory", "jade", "maple",
    "ochre", "olive", "russet", "scarlet", "silver", "teal",
];

/// Second halves of local parts.
pub(super) const ANIMALS: [&str; 16] = [
    "badger", "bittern", "curlew", "ermine", "falcon", "gecko", "heron", "ibex", "jackdaw", "lynx",
    "marten", "newt", "otter", "plover", "stoat", "wren",
];

/// Mail domain, inbox provider, and share of people in thousandths: mailbox providers, spelling mistakes,
/// companies, throw-away addresses.
pub(super) const DOMAINS: [((&str, &str), u32); 11] = [
    (("gmail.com", "Gmail"), 430),
    (("yahoo.com", "Yahoo"), 160),
    (("icloud.com", "Apple"), 120),
    (("hotmail.com", "Microsoft"), 110),
    (("outlook.com", "Microsoft"), 90),
    (("brindlewick-supply.com", "Google Workspace"), 40),
    (("tallowmere-studio.com", "Microsoft 365"), 25),
    (("gmial.com", "Other"), 8),
    (("hotmial.com", "Other"), 7),
    (("yaho.com", "Other"), 5),
    (("mailinator.com", "Other"), 5),
];

/// The provider that fails for a few campaigns.
pub(super) const FAILING: &str = "yahoo.com";

/// Local parts of addresses that belong to an office, not to a person.
pub(super) const ROLES: [&str; 5] = ["info", "sales", "office", "support", "billing"];

/// Country as Klaviyo shows it, its ISO code, a city, and its share.
pub(super) const PLACES: [((&str, &str, &str), u32); 7] = [
    (("United States", "US", "Portland"), 35),
    (("United States", "US", "Austin"), 25),
    (("Canada", "CA", "Halifax"), 10),
    (("United Kingdom", "GB", "Leeds"), 10),
    (("Germany", "DE", "Leipzig"), 10),
    (("Australia", "AU", "Hobart"), 6),
    (("France", "FR", "Nantes"), 4),
];

/// Product and price in thousandths.
pub(super) const WARES: [(&str, i64); 14] = [
    ("Oolong tea, 100 g", 14_900),
    ("Sencha, 100 g", 16_500),
    ("Assam, 250 g", 18_000),
    ("Rooibos, 250 g", 12_000),
    ("Stoneware cup", 22_000),
    ("Cast iron pot", 68_000),
    ("Glass pot", 39_500),
    ("Bamboo whisk", 19_900),
    ("Tea tin", 9_950),
    ("Linen towel", 15_000),
    ("Honey, acacia", 11_250),
    ("Sampler box", 29_000),
    ("Matcha, 30 g", 27_500),
    ("Travel flask", 34_000),
];

/// What campaigns are about.
pub(super) const SUBJECTS: [&str; 8] = [
    "New this week",
    "Back in stock",
    "A slow afternoon",
    "Members first",
    "Harvest notes",
    "Last days of the sale",
    "Three cups, three moods",
    "Free shipping this weekend",
];

/// Area codes for phone numbers 555-0100 to 555-0199, which are kept for fiction.
pub(super) const AREA_CODES: [u32; 40] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225,
    228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 272, 276,
    281, 301,
];
