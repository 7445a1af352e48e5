-- Dead rows in the order in which they were made. It begins with the state so that planners prefer it to
-- deliveries_by_day, whose rows would have to be sorted, and costs nothing where nothing fails.
CREATE INDEX deliveries_dead ON deliveries (state, queue, id) WHERE state = 5;
