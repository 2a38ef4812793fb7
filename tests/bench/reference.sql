-- What `make bench` dumps: tables as an ordinary application has them, about one gigabyte of `pg_dump -Z0` at :units = 100.
-- Deterministic. Half of a row is what people type and machines repeat, half is keys and hashes that do not compress.
CREATE TABLE accounts (id bigint PRIMARY KEY, email text, name text, street text, city text, created timestamptz, balance numeric(12, 2));
CREATE TABLE orders (id bigint PRIMARY KEY, account bigint, placed timestamptz, state text, total numeric(10, 2), reference uuid, note text);
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz, account bigint, kind text, payload jsonb);
CREATE TABLE requests (at timestamptz, line text);

INSERT INTO accounts SELECT i, 'user' || i || '@' || (ARRAY['example.com', 'example.org', 'mail.example.net'])[1 + i % 3],
    initcap((ARRAY['anna', 'bela', 'chidi', 'dorothea', 'emil', 'farah', 'gustav'])[1 + i % 7]) || ' ' || initcap(substr(md5(i::text), 1, 7)),
    (i * 7919 % 290) || ' ' || (ARRAY['Station Road', 'High Street', 'Lindenallee', 'Rue de la Paix'])[1 + i % 4],
    (ARRAY['Berlin', 'Lyon', 'Leeds', 'Gent', 'Porto'])[1 + i % 5], timestamptz '2020-01-01 00:00+00' + i * interval '97 seconds', (abs(hashint8(i)) % 9000000) / 100.0
FROM generate_series(1, :units * 5000::bigint) i;
INSERT INTO orders SELECT i, 1 + i * 7919 % (:units * 5000), timestamptz '2021-01-01 00:00+00' + i * interval '31 seconds',
    (ARRAY['open', 'paid', 'shipped', 'returned'])[1 + i * 31 % 4], (abs(hashint8(i)) % 100000) / 100.0, md5('order' || i)::uuid,
    CASE WHEN i % 5 = 0 THEN 'please leave the parcel with the neighbour at number ' || i % 90 END
FROM generate_series(1, :units * 20000::bigint) i;
INSERT INTO events SELECT i, timestamptz '2022-01-01 00:00+00' + i * interval '7 seconds', 1 + abs(hashint8(i)) % (:units * 5000),
    (ARRAY['login', 'view', 'purchase', 'logout', 'search'])[1 + i * 17 % 5],
    jsonb_build_object('session', md5((i / 2)::text), 'path', '/products/' || (abs(hashint8(i * 31)) % 4000), 'browser', 'Mozilla/5.0 (X11; Linux x86_64)',
        'milliseconds', abs(hashint8(i + 7)) % 900, 'experiment', CASE WHEN i % 2 = 0 THEN 'control' ELSE 'variant-b' END)
FROM generate_series(1, :units * 20000::bigint) i;
INSERT INTO requests SELECT timestamptz '2022-01-01 00:00+00' + i * interval '3 seconds',
    format('10.%s.%s.%s "GET /api/v2/accounts/%s/orders?page=%s HTTP/1.1" 200 %s "curl/8.5.0" trace=%s', i % 4, i * 7 % 256, i * 13 % 256,
        1 + abs(hashint8(i)) % (:units * 5000), i % 40, abs(hashint8(i + 1)) % 90000, substr(md5('trace' || i), 1, 16))
FROM generate_series(1, :units * 20000::bigint) i;
