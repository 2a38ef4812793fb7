-- A small shop that looks like a real one: names that need quotes, a view over two tables, a function, a trigger, a large object,
-- privileges, settings and comments. Run against the empty database "shop" by its owner. Deterministic: no clock, no random().
CREATE TYPE order_state AS ENUM ('open', 'paid', 'shipped', 'returned');

CREATE TABLE customers (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL,
    email     text NOT NULL UNIQUE,
    joined    date NOT NULL,
    notes     jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE products (sku text PRIMARY KEY, title text NOT NULL, "unit price (€)" numeric(10, 2) NOT NULL CHECK ("unit price (€)" > 0));
CREATE TABLE orders (
    id        bigserial PRIMARY KEY,
    customer  bigint NOT NULL REFERENCES customers,
    placed    timestamptz NOT NULL,
    state     order_state NOT NULL,
    signature bytea NOT NULL
);
CREATE TABLE "Order Items" (
    "order"   bigint NOT NULL REFERENCES orders,
    line      int NOT NULL,
    sku       text NOT NULL REFERENCES products,
    quantity  int NOT NULL,
    PRIMARY KEY ("order", line)
);

INSERT INTO customers (name, email, joined, notes)
SELECT 'Customer ' || i || E' "the\tquoted" O''Brien ünïcødé', md5(i::text) || '@example.com', date '2020-01-01' + i % 2000,
       jsonb_build_object('newsletter', i % 3 = 0, 'tags', jsonb_build_array(md5((i * 7)::text), i))
FROM generate_series(1, 60000) i;
INSERT INTO products SELECT 'SKU-' || lpad(i::text, 5, '0'), 'Product ' || md5(i::text), 1 + (i * 37 % 9900) / 100.0 FROM generate_series(1, 2000) i;
INSERT INTO orders (customer, placed, state, signature)
SELECT 1 + i * 7919::bigint % 60000, timestamptz '2024-01-01 00:00:00+00' + i * interval '97 seconds',
       (enum_range(NULL::order_state))[1 + i % 4], sha256(i::text::bytea)
FROM generate_series(1, 200000) i;
INSERT INTO "Order Items" SELECT o.id, l, 'SKU-' || lpad((1 + (o.id * 31 + l * 17) % 2000)::text, 5, '0'), 1 + (o.id + l) % 5
FROM orders o, generate_series(1, 2) l;

CREATE INDEX orders_by_customer ON orders (customer, placed DESC);
CREATE INDEX customers_notes ON customers USING gin (notes);

CREATE VIEW "Open Orders" AS
SELECT o.id, c.name, sum(i.quantity * p."unit price (€)") AS total
FROM orders o JOIN customers c ON c.id = o.customer JOIN "Order Items" i ON i."order" = o.id JOIN products p USING (sku)
WHERE o.state = 'open' GROUP BY o.id, c.name;
CREATE MATERIALIZED VIEW turnover AS SELECT date_trunc('month', placed) AS month, count(*) AS orders FROM orders GROUP BY 1;

CREATE FUNCTION order_total(wanted bigint) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT sum(i.quantity * p."unit price (€)") FROM "Order Items" i JOIN products p USING (sku) WHERE i."order" = wanted
$$;
CREATE FUNCTION no_time_travel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.placed < OLD.placed THEN RAISE EXCEPTION 'an order can not move back in time; \ and '' are fine'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER no_time_travel BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION no_time_travel();

SELECT lo_from_bytea(424242, convert_to(repeat('the shop''s logo, as a large object. ', 20000), 'UTF8'));
COMMENT ON TABLE "Order Items" IS 'one line of an order; "quoted" on purpose';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "Reporting Team";
