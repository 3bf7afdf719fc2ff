#!/usr/bin/env bash
# Owns the pull request that proposes new stored sessions: one branch, one open pull request, brought up to date.
#
# in: FOLDER (of the store), BASE (branch), BRANCH (of the pull request), GH_TOKEN
set -euo pipefail

git add -- "$FOLDER"
if git diff --cached --quiet; then
    echo "nothing new in $FOLDER"
    exit 0
fi
git config user.name 'github-actions[bot]'
git config user.email '41898282+github-actions[bot]@users.noreply.github.com'
git switch --quiet --force-create "$BRANCH"
git commit --quiet --message "New stored session of $BASE"
gh auth setup-git
# The branch is this workflow's own.
git push --quiet --force origin "$BRANCH"

if [[ -n $(gh pr list --head "$BRANCH" --base "$BASE" --state open --json number --jq '.[].number') ]]; then
    echo "the open pull request of $BRANCH is brought up to date"
    exit 0
fi
gh pr create --head "$BRANCH" --base "$BASE" --title "New stored session of $BASE" --body \
    "Measured on $BASE by the workflow \`baseline\`. What is merged here is what later changes are held against: look at
its report first (artifact of the run), above all at values that moved without a reason."
