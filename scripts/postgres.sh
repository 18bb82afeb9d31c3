#!/usr/bin/env bash
# Makes sure there is a PostgreSQL for the tests of storage, registry, jobs and accounts; they start a private server of their own.
# Installs the Debian package only where root and needed.
set -euo pipefail
has_server() { command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; }
if has_server; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing PostgreSQL for the database tests …"
  export DEBIAN_FRONTEND=noninteractive
  # The package would make a cluster and start it: the tests want its programs alone.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends postgresql >/dev/null
else
  echo "The database tests need PostgreSQL's programs: install them (Debian: apt-get install postgresql) and run make again." >&2
  exit 1
fi
