#!/bin/sh
# A notify command for hh-token-notify.service: sends its standard input as a Telegram message. Install it with curl:
#   install -m 750 -g hh-token docs/examples/notify-telegram.sh /etc/hh-token/notify
#   printf '%s\n' TELEGRAM_BOT_TOKEN=123:abc TELEGRAM_CHAT_ID=42 > /etc/hh-token/notify.env
# (in an editor, lest the token stay in your shell's history).
set -eu
# shellcheck source=/dev/null
. /etc/hh-token/notify.env # readable by the service account

quoted() { # standard input as a value in curl's configuration
    sed -e 's/[\\"]/\\&/g' -e '$!s/$/\\n/' | tr -d '\n'
}

# The bot token and the message go to curl on its standard input: what stands in its arguments, anybody sees in `ps`.
text=$(quoted)
curl --silent --show-error --fail --max-time 30 --output /dev/null --config - <<EOC
url = "${TELEGRAM_API:-https://api.telegram.org}/bot$TELEGRAM_BOT_TOKEN/sendMessage"
data-urlencode = "chat_id=$TELEGRAM_CHAT_ID"
data-urlencode = "text=$text"
EOC
