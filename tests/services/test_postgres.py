import psycopg
import pytest

from tests.services.postgres import Postgres


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_keeps_what_was_committed_and_nothing_else(postgres: Postgres, postgres_url: str, end: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as committing, psycopg.connect(postgres_url) as other:
        committing.execute("CREATE TABLE seen (word TEXT)")
        committing.execute("INSERT INTO seen VALUES ('committed')")
        other.execute("INSERT INTO seen VALUES ('open')")

        getattr(postgres, end)()

        assert not postgres.running
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT 1")

    postgres.start()

    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT word FROM seen").fetchall() == [("committed",)]


def test_every_database_is_empty_and_its_own(postgres: Postgres) -> None:
    urls = [postgres.create_database() for _ in range(2)]

    with psycopg.connect(urls[0], autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (word TEXT)")
    with psycopg.connect(urls[1]) as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)

        postgres.drop_database(urls[1])

        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(urls[1])
