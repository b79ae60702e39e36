-- +goose Up

-- Whose rows changed as the epoch moved, lately; key '' is everybody. before is the epoch that it moved from.
CREATE TABLE changes (
    epoch    BIGINT NOT NULL,
    user_key TEXT   NOT NULL,
    before   BIGINT NOT NULL,
    PRIMARY KEY (epoch, user_key)
);
