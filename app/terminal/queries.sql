-- orders_since: the newest orders past an id; ids are UUIDv7, so the primary key is in order of birth
SELECT id FROM orders WHERE id > %b ORDER BY id DESC LIMIT %b
