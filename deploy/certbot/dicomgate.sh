#!/bin/sh
# certbot's deploy hook: gives the gateway a renewed certificate, and lets it read that.
#
#   install -m 0755 dicomgate.sh /etc/letsencrypt/renewal-hooks/deploy/dicomgate.sh
#   RENEWED_LINEAGE=/etc/letsencrypt/live/gate.hospital.example /etc/letsencrypt/renewal-hooks/deploy/dicomgate.sh
#
# The second line does by hand, for the first certificate, what certbot does after each renewal. The gateway cannot read
# certbot's own folder, which is root's alone, and should not: it has the keys of all services of the machine.
set -eu
name=${DICOMGATE_CERTIFICATE:-gate.hospital.example}    # the certificate's name: `certbot certificates` lists them
folder=${DICOMGATE_FOLDER:-/etc/dicomgate/tls}          # where dicomgate.toml has its certificate and key
group=${DICOMGATE_GROUP:-dicomgate}
reload=${DICOMGATE_RELOAD:-systemctl reload dicomgate}  # fails if the new files cannot be used

[ "$(basename "${RENEWED_LINEAGE:?certbot sets it}")" = "$name" ] || exit 0

umask 077
install -d -m 0750 -g "$group" "$folder"
# Written beside the old ones and then renamed: the gateway never reads half a file.
install -m 0640 -g "$group" "$RENEWED_LINEAGE/privkey.pem" "$folder/gate.key.new"
install -m 0640 -g "$group" "$RENEWED_LINEAGE/fullchain.pem" "$folder/gate.pem.new"
mv "$folder/gate.key.new" "$folder/gate.key"
mv "$folder/gate.pem.new" "$folder/gate.pem"

# A gateway that does not run reads the files when it starts.
if [ -n "${DICOMGATE_RELOAD:-}" ] || systemctl is-active --quiet dicomgate; then
    $reload
fi
