#!/usr/bin/env bash
# release.sh TAG COMMIT: publishes the release of the tag vX.Y.Z, and moves the tag vX to the commit. It may be run again after
# any of its steps. What is older than a release that is published becomes neither the latest one nor vX.
set -euo pipefail

tag=$1 commit=$2 major=${1%%.*}
published=$(gh release list --exclude-drafts --limit 1000 --json tagName --jq '.[].tagName' | grep -xE 'v[0-9]+\.[0-9]+\.[0-9]+' | grep -vxF "$tag" || true)

# newest VERSION...: the greatest one
newest() { printf '%s\n' "$@" | sed '/^$/d' | sort -V | tail -n 1; }
# before: the greatest published one below the tag
before() { printf '%s\n' "$published" "$tag" | sed '/^$/d' | sort -V | sed -n "/^${tag//./\\.}\$/q;p" | tail -n 1; }

mapfile -t all <<<"$published"
mapfile -t line < <(printf '%s\n' "$published" | grep -E "^$major\\." || true)
latest=false
if [ "$(newest "$tag" "${all[@]}")" = "$tag" ]; then latest=true; fi

# A draft first: once published, a release of a repository with immutable releases cannot be changed, and neither can its tag.
state=$(gh release view "$tag" --json isDraft --jq .isDraft 2>/dev/null || echo none)
if [ "$state" = none ]; then
  since=$(before)
  gh release create "$tag" --draft --verify-tag --title "$tag" --generate-notes ${since:+--notes-start-tag "$since"}
fi
if [ "$state" != false ]; then gh release edit "$tag" --draft=false "--latest=$latest"; fi

if [ "$(newest "$tag" "${line[@]}")" != "$tag" ]; then
  echo "$major stays: there is a newer release of that line than $tag."
elif gh api "repos/$GH_REPO/git/ref/tags/$major" --silent 2>/dev/null; then
  gh api --method PATCH "repos/$GH_REPO/git/refs/tags/$major" -f sha="$commit" -F force=true --silent
else
  gh api --method POST "repos/$GH_REPO/git/refs" -f ref="refs/tags/$major" -f sha="$commit" --silent
fi
