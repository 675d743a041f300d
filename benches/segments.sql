-- The fifty definitions of segments.json for DuckDB, one query each.
--
-- Events lie in the order of metric and time, so that a scan of one metric in a window skips the
-- rest. `days_ago` is the midnight that so many days ago began; "in the last" has no upper bound.
-- Amounts are thousandths.

-- tables
CREATE TYPE metric AS ENUM ('Received Email', 'Opened Email', 'Clicked Email', 'Bounced Email',
    'Active on Site', 'Viewed Product', 'Checkout Started', 'Placed Order');
CREATE TYPE bounce_type AS ENUM ('Soft', 'Hard');
CREATE TYPE consent AS ENUM ('SUBSCRIBED', 'UNSUBSCRIBED', 'NEVER_SUBSCRIBED');
CREATE TYPE list_id AS ENUM ('NewsL1', 'VipsL1');
CREATE TABLE events (person UINTEGER, metric metric, happened INTEGER, value INTEGER, campaign VARCHAR,
    machine_open BOOLEAN, bounce_type bounce_type, product VARCHAR, item_count UTINYINT);
INSERT INTO events FROM read_csv('{dir}/events.csv', all_varchar = true, header = true);
CREATE TABLE lists (list list_id, person UINTEGER, joined INTEGER);
INSERT INTO lists FROM read_csv('{dir}/lists.csv', all_varchar = true, header = true);
CREATE TABLE profiles (person UINTEGER, email VARCHAR, country VARCHAR, city VARCHAR,
    created INTEGER, loyalty_tier VARCHAR, points INTEGER, vip BOOLEAN, favorites VARCHAR[],
    birthday DATE, next_refill INTEGER, can_receive BOOLEAN, consent consent, consent_at INTEGER,
    method VARCHAR, double_optin BOOLEAN, bounce_at INTEGER, manual_at INTEGER,
    invalid_at INTEGER, sms_can_receive BOOLEAN, sms_consent consent, sms_consent_at INTEGER);
INSERT INTO profiles SELECT * REPLACE (
    CASE favorites WHEN '|' THEN [] ELSE string_split(favorites[2:], '|') END AS favorites)
    FROM read_csv('{dir}/profiles.csv', all_varchar = true, header = true);
CREATE MACRO now_at() AS {now};
CREATE MACRO days_ago(days) AS {midnight} - 86400 * days;
CREATE MACRO day_of_year(date) AS 100 * month(date) + day(date);
CREATE MACRO in_days(days) AS day_of_year(DATE '1970-01-01' + ({midnight} // 86400 + days)::INTEGER);

-- 01-bought-in-30-days
SELECT DISTINCT person FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(30);
-- 02-never-bought
SELECT person FROM profiles
ANTI JOIN (FROM events WHERE metric = 'Placed Order') USING (person);
-- 03-bought-three-times
SELECT person FROM events WHERE metric = 'Placed Order' GROUP BY person HAVING count(*) >= 3;
-- 04-spent-500-in-52-weeks
SELECT person FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(7 * 52)
GROUP BY person HAVING sum(value) >= 500000;
-- 05-spent-below-50-in-a-year
SELECT person FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(365)
GROUP BY person HAVING sum(value) < 50000;
-- 06-bought-but-not-in-180-days
SELECT person FROM events WHERE metric = 'Placed Order'
GROUP BY person HAVING max(happened) < days_ago(180);
-- 07-bought-30-to-60-days-ago
SELECT DISTINCT person FROM events
WHERE metric = 'Placed Order' AND happened >= days_ago(60) AND happened < days_ago(29);
-- 08-bought-on-black-friday
SELECT DISTINCT person FROM events
WHERE metric = 'Placed Order' AND happened >= epoch(DATE '2025-11-27')::INTEGER
    AND happened < epoch(DATE '2025-12-02')::INTEGER;
-- 09-opened-in-person-in-30-days
SELECT DISTINCT person FROM events
WHERE metric = 'Opened Email' AND happened >= days_ago(30) AND NOT machine_open;
-- 10-opened-five-times-in-90-days
SELECT person FROM events WHERE metric = 'Opened Email' AND happened >= days_ago(90)
GROUP BY person HAVING count(*) >= 5;
-- 11-clicked-in-14-days
SELECT DISTINCT person FROM events WHERE metric = 'Clicked Email' AND happened >= days_ago(14);
-- 12-engaged-30-days
SELECT person FROM events
WHERE metric = 'Opened Email' AND happened >= days_ago(30) AND NOT machine_open
UNION
SELECT person FROM events WHERE metric = 'Clicked Email' AND happened >= days_ago(30)
UNION
SELECT person FROM profiles
WHERE can_receive AND consent = 'SUBSCRIBED' AND consent_at >= days_ago(15);
-- 13-engaged-90-days
SELECT person FROM profiles SEMI JOIN (
    SELECT person FROM events
    WHERE metric = 'Opened Email' AND happened >= days_ago(90) AND NOT machine_open
    UNION ALL
    SELECT person FROM events WHERE metric = 'Clicked Email' AND happened >= days_ago(90)
    UNION ALL
    SELECT person FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(90)
    UNION ALL
    SELECT person FROM events WHERE metric = 'Active on Site' AND happened >= days_ago(90)
) USING (person) WHERE can_receive;
-- 14-unengaged-90-days
SELECT person FROM (
    SELECT person FROM events WHERE metric = 'Received Email'
    GROUP BY person HAVING count(*) >= 5
) ANTI JOIN (
    SELECT person FROM events WHERE metric = 'Opened Email' AND happened >= days_ago(90)
    UNION ALL
    SELECT person FROM events WHERE metric = 'Clicked Email' AND happened >= days_ago(90)
) USING (person);
-- 15-inactive-safe-to-suppress
SELECT person FROM profiles
SEMI JOIN (
    SELECT person FROM events WHERE metric = 'Received Email' AND happened >= days_ago(7 * 72)
    GROUP BY person HAVING count(*) >= 5
) USING (person)
ANTI JOIN (
    SELECT person FROM events WHERE metric IN ('Opened Email', 'Clicked Email', 'Active on Site',
        'Viewed Product', 'Checkout Started', 'Placed Order')
) USING (person)
WHERE can_receive AND email IS NOT NULL AND created < days_ago(180);
-- 16-chronic-soft-bounce
SELECT person FROM (
    SELECT person FROM events
    WHERE metric = 'Bounced Email' AND happened >= days_ago(90) AND bounce_type = 'Soft'
    GROUP BY person HAVING count(*) >= 4
) SEMI JOIN (FROM profiles WHERE can_receive) USING (person);
-- 17-hard-bounced-yet-mailed
SELECT person FROM profiles
SEMI JOIN (FROM events WHERE metric = 'Bounced Email' AND bounce_type = 'Hard') USING (person)
WHERE can_receive;
-- 18-mailed-often-in-4-weeks
SELECT person FROM events WHERE metric = 'Received Email' AND happened >= days_ago(28)
GROUP BY person HAVING count(*) >= 4;
-- 19-viewed-in-48-hours
SELECT DISTINCT person FROM events
WHERE metric = 'Viewed Product' AND happened >= now_at() - 48 * 3600;
-- 20-left-checkout-in-24-hours
SELECT DISTINCT person FROM events
ANTI JOIN (FROM events WHERE metric = 'Placed Order' AND happened >= now_at() - 24 * 3600) USING (person)
WHERE metric = 'Checkout Started' AND happened >= now_at() - 24 * 3600;
-- 21-left-checkout-in-a-week
SELECT person FROM profiles
SEMI JOIN (FROM events WHERE metric = 'Checkout Started' AND happened >= days_ago(7)) USING (person)
ANTI JOIN (FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(7)) USING (person)
WHERE can_receive;
-- 22-looked-at-jackets
SELECT DISTINCT person FROM events
ANTI JOIN (FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(60)) USING (person)
WHERE metric = 'Viewed Product' AND happened >= days_ago(60) AND contains(product, 'Jacket');
-- 23-returned-to-products
SELECT person FROM events
WHERE metric = 'Viewed Product' AND happened >= days_ago(30)
    AND product IN ('Hat 07', 'Hat 08', 'Shoe 01', 'Shoe 02', 'Bag 11', 'Bag 12')
GROUP BY person HAVING count(*) >= 2;
-- 24-bought-three-items
SELECT DISTINCT person FROM events
WHERE metric = 'Placed Order' AND happened >= days_ago(180) AND item_count >= 3;
-- 25-bought-six-items-ever-twice
SELECT person FROM events WHERE metric = 'Placed Order' AND item_count > 5
GROUP BY person HAVING count(*) >= 2;
-- 26-clicked-early-letters
SELECT DISTINCT person FROM events
WHERE metric = 'Clicked Email' AND happened >= days_ago(365) AND starts_with(campaign, 'Letter 0');
-- 27-opened-one-letter
SELECT DISTINCT person FROM events WHERE metric = 'Opened Email' AND campaign = 'Letter 12';
-- 28-opened-by-machine-alone
SELECT person FROM events WHERE metric = 'Opened Email' AND happened >= days_ago(180)
GROUP BY person HAVING bool_and(machine_open);
-- 29-often-on-site-in-12-weeks
SELECT person FROM events WHERE metric = 'Active on Site' AND happened >= days_ago(7 * 12)
GROUP BY person HAVING count(*) >= 5;
-- 30-on-site-long-ago
SELECT person FROM events WHERE metric = 'Active on Site'
GROUP BY person HAVING max(happened) < days_ago(90);
-- 31-gold
SELECT person FROM profiles WHERE loyalty_tier = 'gold';
-- 32-points-below-gold
SELECT person FROM profiles WHERE loyalty_tier <> 'gold' AND points >= 1000;
-- 33-silver-or-city
SELECT person FROM profiles
WHERE points < 500 AND (loyalty_tier IN ('silver', 'platinum') OR city IN ('Boston', 'Vienna'));
-- 34-vip
SELECT person FROM profiles WHERE vip;
-- 35-no-vip-yet-buys
SELECT person FROM (
    SELECT person FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(365)
    GROUP BY person HAVING count(*) >= 2
) SEMI JOIN (FROM profiles WHERE vip IS NOT true) USING (person);
-- 36-likes-shoes
SELECT person FROM profiles WHERE list_contains(favorites, 'Shoes');
-- 37-likes-three-things
SELECT person FROM profiles WHERE len(favorites) >= 3 AND NOT list_contains(favorites, 'Hats');
-- 38-likes-hats-or-bags-in-europe
SELECT person FROM profiles
WHERE country IN ('Germany', 'France', 'Netherlands', 'Austria', 'Spain')
    AND list_has_any(favorites, ['Hats', 'Bags']);
-- 39-birthday-next-week
SELECT person FROM profiles
WHERE can_receive AND day_of_year(birthday) IN
    (in_days(1), in_days(2), in_days(3), in_days(4), in_days(5), in_days(6), in_days(7));
-- 40-birthday-in-august
SELECT person FROM profiles WHERE month(birthday) = 8;
-- 41-refill-within-14-days
SELECT person FROM profiles WHERE next_refill >= now_at() AND next_refill < days_ago(-15);
-- 42-new-profiles
SELECT person FROM profiles WHERE created >= days_ago(7);
-- 43-welcomed-but-never-bought
SELECT person FROM profiles ANTI JOIN (FROM events WHERE metric = 'Placed Order') USING (person)
WHERE can_receive AND created >= days_ago(60) AND created < days_ago(29);
-- 44-profile-before-2024-at-gmail
SELECT person FROM profiles
WHERE created < epoch(DATE '2024-01-01')::INTEGER AND ends_with(email, '@gmail.com');
-- 45-joined-newsletter-in-10-days
SELECT person FROM lists WHERE list = 'NewsL1' AND joined >= days_ago(10);
-- 46-newsletter-without-vips
SELECT person FROM lists ANTI JOIN (FROM lists WHERE list = 'VipsL1') USING (person)
WHERE list = 'NewsL1';
-- 47-no-list-yet-sms-or-mail
SELECT person FROM profiles ANTI JOIN (FROM lists WHERE list = 'NewsL1') USING (person)
WHERE can_receive
    OR (sms_can_receive AND sms_consent = 'SUBSCRIBED' AND sms_consent_at >= days_ago(90));
-- 48-bounced-or-unsubscribed
SELECT person FROM profiles
WHERE NOT can_receive AND (bounce_at IS NOT NULL OR (consent = 'UNSUBSCRIBED'
    AND method = 'SPAM_COMPLAINT' AND consent_at >= days_ago(30)));
-- 49-double-opt-in-outside-us
SELECT person FROM profiles
WHERE can_receive AND consent = 'SUBSCRIBED' AND double_optin AND country <> 'United States';
-- 50-looked-started-did-not-buy
SELECT DISTINCT person FROM (
    SELECT viewed.person, viewed.happened + 3 * 86400 AS until, max(started.happened) AS started_at
    FROM events viewed JOIN events started
        ON started.person = viewed.person AND started.happened > viewed.happened
        AND started.happened <= viewed.happened + 3 * 86400
    WHERE viewed.metric = 'Viewed Product' AND viewed.happened >= days_ago(30)
        AND started.metric = 'Checkout Started' AND started.happened >= days_ago(30)
    GROUP BY viewed.person, viewed.happened
) choice ANTI JOIN (
    SELECT person, happened FROM events WHERE metric = 'Placed Order' AND happened >= days_ago(30)
) bought ON bought.person = choice.person AND bought.happened > choice.started_at
    AND bought.happened <= choice.until;
