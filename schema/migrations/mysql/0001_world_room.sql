-- The one conversation that everybody is in (type 3). Hand-written: drizzle-kit generates no rows.
INSERT IGNORE INTO `conversations`
  (`conversation_id`, `type`, `name`, `member_count`, `max_members`, `last_activity_at`, `created_at`, `updated_at`)
VALUES
  ('world_chat_room', 3, 'World', 0, 1000000, UNIX_TIMESTAMP() * 1000, UNIX_TIMESTAMP() * 1000, UNIX_TIMESTAMP() * 1000);
