# Every sentence of handover in English. The keys and the names of values are the same in every language; a test says so.
# Words have one meaning each: transfer, one-time code, relay, receipt, seller, buyer, invite, identity, key, exception.

## Help: headings and usage lines

heading-usage = Usage:
heading-commands = Commands
heading-arguments = Arguments
heading-options = Options
heading-everywhere = Options of every command
usage-options = OPTIONS
usage-command = COMMAND

## Help: names of values

value-address = HOST[:PORT]
value-code = CODE
value-command = COMMAND
value-count = N
value-dir = DIR
value-dir-or-id = DIR|ID
value-duration = DURATION
value-file = FILE
value-fingerprint = FINGERPRINT
value-file-or-id = FILE|ID
value-glob = GLOB
value-id = ID
value-invite = INVITE
value-language = LANGUAGE
value-level = LEVEL
value-limit = LIMIT
value-name = NAME
value-path = PATH
value-policy = POLICY
value-proxy = URL
value-relay = HOST[:PORT]|INVITE
value-sha256 = SHA256
value-shell = SHELL
value-size = SIZE
value-text = TEXT
value-transport = TRANSPORT
value-when = WHEN

## What a value has to look like

expects-address = expected a host name or address with an optional port, such as relay.example, 192.0.2.7:4433 or [2001:db8::1]:4433
expects-count = expected a whole number
expects-duration = expected a number with m, h, d or w, such as 90m, 36h, 14d, 2w or 1d12h
expects-fingerprint = expected a fingerprint as `ssh-keygen -l` shows it: SHA256: and 43 characters
expects-id = expected the number of a transfer; `handover status` lists them
expects-language = expected en or zh-CN
expects-level = expected auto, or a number from 1 (fast) to 19 (small)
expects-proxy = expected a proxy such as http://proxy.example:3128 or socks5://proxy.example:1080, or the word none
expects-limit = expected bytes a second such as 10M, or 10M:1M for up and down, or off, or a timetable such as "08:00,512k 19:00,off"
expects-relay = expected an invite (hr1…@HOST), a relay's address such as relay.example:4433, or the word embedded
expects-sha256 = expected the SHA-256 of the document, 64 hexadecimal digits, as `handover pull CODE --list` shows it
expects-size = expected a number with k, M or G, such as 64M or 1.5G

## Help: the program and options of every command

help-handover = Hands the customer data of a business to the buyer who takes it over: whole, sealed, with a signed receipt
help-handover-json = Write one JSON object a line to standard output
help-handover-quiet = Write nothing but the result and errors
help-handover-verbose = Write log lines for developers; twice for more
help-handover-no-input = Ask nothing; where an answer is needed, end with exit code 3
help-handover-color = Use colour: auto, always or never
help-handover-lang = Language: en or zh-CN; otherwise that of the system
help-handover-home = Folder for configuration and state, instead of the usual places
help-handover-proxy = Reach relays through this HTTP or SOCKS5 proxy, instead of that of HTTPS_PROXY or ALL_PROXY; none for no proxy
help-handover-transport = How to reach relays: auto (QUIC, or TCP where UDP is blocked), quic or tcp
help-handover-passphrase-file = File whose first line is the passphrase of the key, instead of asking
help-handover-help = Show this help
help-handover-version = Show the version

## Help: commands

help-push = Seal files and folders, send them to the relay and print the one-time code (also: send)
help-push-paths = Files and folders to hand over; - reads standard input
help-push-relay = Relay to use: an address, an invite, or embedded for one inside this push; otherwise the first in the relay book
help-push-expires = How long the relay keeps the data, such as 14d (m, h, d, w)
help-push-label = Name of the transfer, shown to the buyer
help-push-agreement = A document (PDF, text or any file up to 16 MiB) that the buyer must sign before the data opens
help-push-exclude = Leave out what matches, by the rules of gitignore: the last match decides; repeatable
help-push-include = Keep what matches although it is left out otherwise; repeatable
help-push-exclude-from = Read such patterns from a file, one a line; repeatable
help-push-follow = Send what symbolic links point to instead of the links
help-push-dry-run = Show what would be sent, and send nothing
help-push-level = Compression: auto, or 1 (fast) to 19 (small)
help-push-bwlimit = Send no faster: KiB a second, or with B, K, M, G; 10M:1M for up and down, off, or a timetable "08:00,512k 19:00,off"; the signal USR2 lifts it
help-push-wait = Stay until the buyer's receipt is here
help-push-no-qr = Do not draw the code as a picture
help-push-code-file = Also write the code into this file, readable by you only
help-push-new = Begin a new transfer even if an unfinished one of the same paths could be continued
help-push-expect-buyer = Accept no receipt but from the buyer with this fingerprint; whoever else has the code can still take the data
help-push-name = Name for what comes from standard input

help-pull = Show what is offered, fetch it, verify it, put it in place and sign the receipt (also: receive)
help-pull-code = The one-time code in any form, also as words; asked for if it is missing
help-pull-out = Folder in which the sent names appear, made if missing; - writes to standard output; otherwise the current folder
help-pull-list = Show what is offered and stop; the code stays good
help-pull-conflict = What to do about other files of the same name: ask, skip, rename, overwrite or fail
help-pull-bwlimit = Receive no faster: KiB a second, or with B, K, M, G; 10M:1M for up and down, off, or a timetable "08:00,512k 19:00,off"; the signal USR2 lifts it
help-pull-yes = Answer yes to every yes-or-no question
help-pull-accept-agreement = Agree to the document with this SHA-256 and sign it with the name of --as
help-pull-as-name = Full name to sign the agreement with
help-pull-refuse-agreement = Refuse the agreement, which ends the transfer for good
help-pull-reason = Why, for the seller to read
help-pull-code-file = Read the code from this file
help-pull-relay = Relay to ask instead of the one in the code
help-pull-expect-seller = Refuse every other seller than the one with this fingerprint, before the code is used

help-status = Show the transfers of this machine, or everything about one (also: list)
help-status-id = Number of a transfer

help-wait = Wait until the buyer's receipt is here, or cannot come any more
help-wait-id = Number of a transfer

help-resume = Continue what was interrupted: one transfer, or all
help-resume-id = Number of a transfer
help-resume-bwlimit = Go no faster: KiB a second, or with B, K, M, G; 10M:1M for up and down, off, or a timetable "08:00,512k 19:00,off"; the signal USR2 lifts it

help-revoke = Make the code worthless and delete the data at the relay
help-revoke-id = Number of a transfer

help-code = Show the code of a transfer again, while nobody has used it
help-code-id = Number of a transfer
help-code-words = As 15 English words, for reading aloud
help-code-chinese = As 15 Chinese characters, for reading aloud
help-code-qr = As a picture as well

help-receipt = Show, check or export receipts
help-receipt-show = Show the receipt of a transfer
help-receipt-show-id = Number of a transfer
help-receipt-verify = Check a receipt from anyone; needs no network
help-receipt-verify-file = receipt.json, or the number of a transfer
help-receipt-verify-signature = Signature; otherwise the file's name with .sig
help-receipt-verify-allowed-signers = Only accept these signers (format of OpenSSH); otherwise any key, which is then shown
help-receipt-export = Write receipt.json, receipt.json.sig and allowed_signers
help-receipt-export-id = Number of a transfer
help-receipt-export-folder = Folder to write to, made if missing
help-audit = Show, check or export what the relay's signed log says of a transfer
help-audit-show = Show the log's entries and the relay's statement about the deletion, checked
help-audit-show-id = Number of a transfer
help-audit-verify = Check a log; needs no network. With two, also that both sides were shown the same one
help-audit-verify-what = Folder that was exported, or the number of a transfer
help-audit-verify-other = The other side's
help-audit-export = Write the signed head, the entries, their proofs and the deletion for anybody to check
help-audit-export-id = Number of a transfer
help-audit-export-folder = Folder to write to, made if missing

help-verify = Does this folder still match what was received or sent?
help-verify-folder = The folder, or the number of a transfer for where its files were placed or taken from
help-verify-id = Check the folder against this transfer: for a copy that was made or moved elsewhere
help-verify-all = Name every difference, and times that changed, as they are found

help-record = Write the handover record of a transfer: one page with everything that was signed
help-record-id = Number of the transfer
help-record-out = Write it to this file; an earlier record of the same transfer is replaced
help-record-annex = Also write the full list, a line for every item, to this file
help-record-verify = Check a handover record from anybody, without a network
help-record-verify-file = A record: the page, or what --json wrote
help-record-verify-seller = The fingerprint that the seller's key must have
help-record-verify-buyer = The fingerprint that the buyer's key must have
help-destroy = Destroy what this machine still holds of a transfer, and sign a certificate of it
help-destroy-id = Number of the transfer
help-destroy-source = Destroy the files that were sent too, as far as they are still what was sent (seller)
help-destroy-confirm = What would have to be typed for --source: "destroy source ID"
help-destroy-yes = Ask nothing; for --source, --confirm is needed all the same
help-destroy-reason = Why, for the certificate
help-destroy-certificate = Folder for the certificate, its signature and a page to print
help-destroy-verify = Check a certificate from anybody, offline, with the witness's signature if there is one
help-destroy-verify-file = The certificate, destruction.json; the signature is beside it
help-witness = Co-sign a certificate of destruction that somebody else has made
help-witness-file = The certificate, destruction.json; the signatures are beside it
help-witness-present = State that you were present at the destruction, not only that you have seen the certificate

help-identity = Show or set up the key with which this machine signs
help-identity-show = Show name, fingerprint and public key
help-identity-create = Make a new key
help-identity-create-name = Your name, shown to the other side
help-identity-create-organisation = Your organisation, shown to the other side
help-identity-import = Use an existing OpenSSH Ed25519 key
help-identity-import-file = Private key, with or without a passphrase
help-identity-import-agent = Use a key that the running ssh-agent holds; with several, its fingerprint
help-identity-passphrase = Protect the key with another passphrase, or with none
help-identity-passphrase-new-passphrase-file = File with the new passphrase in its first line
help-identity-passphrase-remove = Take the protection away
help-identity-import-name = Your name, shown to the other side
help-identity-import-organisation = Your organisation, shown to the other side

help-relay = Manage the relays this machine may push through
help-relay-add = Enrol at a relay with its invite; it becomes the one that push uses
help-relay-add-invite = Invite printed by the relay (hr1…@HOST); read from standard input if it is missing or -
help-relay-list = List the relays; the first is the one that push uses
help-relay-test = Test a relay: name, UDP, key, clock, limits
help-relay-test-address = An address or an invite; otherwise the first in the relay book
help-relay-remove = Forget a relay
help-relay-remove-address = Its address

help-doctor = Find out why it does not work here: network, relay, clock, disk, what was left behind
help-doctor-relay = Relay to test: an address or an invite; otherwise the first in the relay book
help-doctor-out = Folder whose disk is tested; otherwise the current folder

help-demo = Run a seller, a relay and a buyer on this machine, with made-up customer data
help-demo-size = Size of the made-up data, such as 64M
help-demo-files = Number of made-up files
help-demo-keep = Keep the demo's folder

help-completions = Print completions for a shell: bash, elvish, fish, powershell or zsh
help-completions-shell = Name of the shell

help-help = Show help for a command
help-help-command = The command

help-defaults = Every option --some-thing can also be given as HANDOVER_SOME_THING in the environment or as some-thing in config.toml.
help-exit-codes = Exit codes: 0 done, 1 failed, 2 usage, 3 an answer is needed, 4 done with listed exceptions, 5 network: try again, 6 the relay refused, 7 code wrong, expired, revoked or used, 8 verification failed, 9 local disk, 10 no such transfer, 11 another run holds it, 12 the other side refused, 130 interrupted: state kept.

## Counts and amounts

count-files = { $count ->
    [one] { $count } file
   *[other] { $count } files
}
count-folders = { $count ->
    [one] { $count } folder
   *[other] { $count } folders
}
count-links = { $count ->
    [one] { $count } link
   *[other] { $count } links
}
count-hidden = { $count } hidden
count-executable = { $count } executable
amount = { $files }, { $size }
amount-unknown = { $files }, size unknown
span-seconds = { $seconds } s
span-minutes = { $minutes } min { $seconds } s
span-hours = { $hours } h { $minutes } min
span-days = { $days } d { $hours } h
moment = { $day } { $month } { $year } { $time }
on-moment = {" "}on { $moment }
month-1 = Jan
month-2 = Feb
month-3 = Mar
month-4 = Apr
month-5 = May
month-6 = Jun
month-7 = Jul
month-8 = Aug
month-9 = Sep
month-10 = Oct
month-11 = Nov
month-12 = Dec

## Labels of rows

label-scanning = Scanning
label-left-out = Left out
label-not-sent = Not sent
label-relay = Relay
label-continuing = Continuing
label-from = From
label-key = Key
label-label = Name
label-contents = Contents
label-until = Until
label-agreement = Agreement
label-into = Into
label-state = State
label-buyer = Buyer
label-seller = Seller
label-source = Source
label-number = Transfer
label-root = Root
label-received = Received
label-name = Name
label-organisation = Organisation
label-public-key = Public key
label-aloud = Aloud
label-kept = Kept
label-folder = Folder
label-verdict = Verdict
label-what = What
label-host = Machine
label-media = Media
label-method = Method
label-tool = Tool
label-time = Time
label-checked = Verified
label-destroyer = Done by
label-reason = Reason
label-witness = Witness
label-not-covered = Not covered
label-certificate = Certificate
label-transfer = Transfer

## Sending

left-out = { $count ->
    [one] { $count } entry, by your patterns
   *[other] { $count } entries, by your patterns
}
not-sent = { $count ->
    [one] { $count } entry that cannot be sent, listed at the end
   *[other] { $count } entries that cannot be sent, listed at the end
}
relay-keeps = { $relay }, keeps the sealed data until { $until } or the receipt
relay-embedded = inside this program, at { $relay }, until { $until } or the receipt
code-lead = On the buyer's machine run:
code-lead-continued = The code is the same as before. On the buyer's machine run:
code-aloud = To read it aloud: 15 words with `handover code { $id } --words` (--chinese: 15 characters)
code-on-stdout = CODE    (the code is on standard output)
code-spent = The code has been used; this run continues for the buyer who has it.
resumed = { $files }, { $size } need not be sent again
read-again = { $name } changed while it was read; reading it again (attempt { $attempt })
moving = moving again
safe = Everything is safely on the relay. You may switch this computer off.
safe-embedded = Everything is sealed and ready. Keep this computer on and this window open until the receipt is here.
next-status = has the buyer been here?
next-wait = wait for the receipt
next-receipt = show the receipt
next-record = the whole handover as one page
next-resume = continue
next-code = show the code again
next-revoke = take it back
claimed = The buyer with key { $key } used the code on { $when }.
agreement-first = { $name } ({ $size }), to be signed before anything is taken
agreement-first-seller = { $name } ({ $size }), the buyer must sign it first
signed = { $name } signed the agreement { $document } on { $when } (key { $key })
signed-for = { $name }, for { $organisation }, signed the agreement { $document } on { $when } (key { $key })
refused-by = { $who } (key { $key }) refused the agreement on { $when }
refusal-reason = Reason: { $reason }
claim-refused = Somebody else, with link key { $key }, tried the code on { $when } and was refused.
collected = Collected and verified by { $who } (key { $key }) on { $when }: { $amount }
receipt-kept = Receipt { $short } is checked and saved.
receipt-kept-deleted = Receipt { $short } is checked and saved. The relay deleted the data on { $when }.
deletion-signed = The relay has deleted the data and signed for it.
deletion-logged = { $blocks } blocks, { $size }; the key share was erased first. Its log was checked: { $entries } entries about this transfer.
next-audit = what the relay's log says
label-log = Log
audit-head = { $size } entries in all, signed { $when }
audit-entries = Entries about this transfer
audit-reason = The operator's reason: { $reason }
audit-deletion = The relay signed: { $blocks } blocks, { $size }, deleted on { $when }; the key share was erased on { $share }
audit-no-deletion = The relay has not signed for a deletion yet.
audit-holds = Every signature and every entry holds.
audit-same = Both were shown the same log.
audit-note = Whose key it is, is for you to know: the relay's stands in the invite and in the offer. What is in the log, the relay cannot take back; what it never wrote, no log shows.
audit-exported = Log written to { $folder }
audit-check-elsewhere = Anyone with OpenSSH can check the head:
log-created = announced
log-first-block = first block
log-completed = everything there
log-claimed = code used
log-claim-refused = code refused
log-receipted = receipt
log-deleted = data deleted
log-expired = expired
log-revoked = revoked
log-refused-by-buyer = agreement refused by the buyer
log-paper-deposited = paper deposited
log-taken-down = taken down
log-fault-proof = a signature or a text of it is not valid
log-fault-shorter = it had { $held } entries and now has { $seen }
log-fault-forked = there are two different ones of { $size } entries, both signed
log-fault-not-extending = the one of { $seen } entries does not begin with the one of { $held } entries
log-fault-older = its newest head is older than the one before
log-fault-two-heads = one answer came under two heads
log-fault-not-included = entry { $entry } of the transfer is not in it
log-fault-order = entry { $entry } of the transfer does not follow the one before
log-fault-rewritten = entry { $entry } of the transfer says something else than before
log-fault-missing = entry { $entry } of the transfer is missing
log-fault-contradicts = its entry "{ $what }" says something else than the relay told before
log-fault-deletion = the signed deletion does not fit it (line { $line })
problem-log-forked = the relay has shown two logs that cannot both be true: { $what }
hint-log-forked = both signed heads are kept as proof: `handover audit export ID DIR`; show them to the other side and to the relay's operator
problem-log = the relay's log is not valid: { $what }
hint-log = do not rely on what this relay says; ask its operator
problem-no-log = nothing of a relay's log is kept about transfer { $id }
hint-no-log = `handover status { $id }` asks the relay again
dry-run-end = Nothing was sent.

## Progress

stage-scanning = Scanning
stage-connecting = Connecting
stage-sending = Sending
stage-finishing = Finishing
stage-waiting = Waiting
stage-receiving = Receiving
stage-placing = Placing
stage-signing = Signing
stage-checking = Checking
stage-destroying = Destroying
eta = ETA { $span }
limit = limit { $speed }
limit-lifted = The bandwidth limit is lifted.
limit-in-force = The bandwidth limit is in force again.
limit-none = There is no bandwidth limit to lift; one is given with --bwlimit.
packed = packed { $factor }x
progress-files = { $done }/{ $total } files
stalled-unreachable = stalled, relay unreachable, reconnecting ({ $attempt })
stalled-lost = stalled, connection lost, reconnecting ({ $attempt })
stalled-busy = stalled, relay busy, asking again ({ $attempt })
stalled-silent = stalled, nothing arrives, reconnecting ({ $attempt })
still = nothing has moved for { $span }
nothing-yet = getting ready
stopping = Stopping; everything so far is kept. The same command continues. Once more to stop at once.
stopping-id = Stopping; everything so far is kept. Continue with: handover resume { $id }   Once more to stop at once.

## Receiving

offer-sealed = { $who }, sealed { $when }
key-new = first time you meet this key: compare the fingerprint by telephone
key-known = known since { $when } ({ $count ->
    [one] 1 transfer
   *[other] { $count } transfers
})
key-other = another key than the one known under this name since { $when }: { $key }
into = { $path }   ({ $needed } needed, { $free } free)
into-unknown = { $path }   ({ $needed } needed)
into-too-small = { $path }   ({ $needed } needed, only { $free } free)
into-stdout = standard output
offer-incoming = still being sent; what is there already comes first
pull-continues = { $size } still to come
taken = { $amount } verified. Receipt { $short } signed and delivered.
taken-not-delivered = { $amount } verified. Receipt { $short } signed, but not delivered yet: handover resume { $id }
taken-unchanged = { $count ->
    [one] { $count } file was here already and is the same
   *[other] { $count } files were here already and are the same
}
taken-kept = { $count ->
    [one] { $count } file of yours was kept instead
   *[other] { $count } files of yours were kept instead
}
taken-renamed = { $count ->
    [one] { $count } file was placed under another name
   *[other] { $count } files were placed under other names
}
taken-exceptions = { $count ->
    [one] { $count } entry was not handed over as it is
   *[other] { $count } entries were not handed over as they are
}

## Exceptions

exceptions-head = { $count ->
    [one] { $count } entry was not handed over as it is:
   *[other] { $count } entries were not handed over as they are:
}
exceptions-more = and { $count } more
exception-unreadable = no right to read it
exception-vanished = it vanished
exception-kept-changing = it changed each time it was read
exception-special = a device, socket or pipe
exception-link-leaves = the link leads out of what is sent
exception-read-error = reading failed
exception-name-too-long = its name is too long or too deep
exception-name-mapped = placed under another name: this one is not possible here
exception-mode = its permissions could not be set
exception-time = its time could not be set
exception-kept-existing = yours was kept

## Questions

ask-code = Code:
ask-invite = Invite:
ask-take = Take it? (Y/n)
ask-agreement = [v]iew, [a]gree and sign, [r]efuse, or Enter: not now?
ask-full-name = Your full name, as it shall stand under the agreement:
ask-sign = Sign? (y/N)
ask-refuse-reason = Refusing ends this transfer for good. A reason for the seller (may be left empty):
ask-refuse-sure = Refuse the agreement? (y/N)
ask-open = Open it with this system's own program? (y/N)
view-page = Enter: go on, q: enough
view-written = The document is in { $path } ({ $size })
view-not-opened = { $program } could not be started: { $reason }
you-sign = You agree to { $document } as { $name }, signed with the key { $key }.
you-sign-for = You agree to { $document } as { $name } for { $organisation }, signed with the key { $key }.
refused-own = Refused. The seller is told, the code is worthless, and the relay deletes the data. (transfer { $id })
ask-again = Please answer with one of the letters shown.
conflicts-head = { $count ->
    [one] { $count } other file of the same name is in the way:
   *[other] { $count } other files of the same names are in the way:
}
conflict-sizes = { $here } here, { $new } offered
ask-conflicts = [s]kip, [r]ename, [o]verwrite, [f]ail?

## Handover record

record-title = Record of a data handover
record-number = Transfer
record-made = Made
record-made-by = { $when }, by the { $side }
record-times = Times
record-times-are = all in { $zone }, year-month-day
record-running = Record of a data handover · transfer { $number }
record-running-foot = handover
record-page-before = Page{" "}
record-page-between = {" "}of{" "}
record-page-after = {""}
record-complete = Handed over and confirmed
record-complete-means = The buyer has received everything that the seller sealed, has verified all of it, and has signed for it.
record-waiting = Not received yet
record-waiting-means = Everything that is here holds. There is no receipt of the buyer yet.
record-revoked = Revoked by the seller
record-revoked-means = The seller took the transfer back before there was a receipt.
record-expired = Expired
record-expired-means = The time of the transfer was over before there was a receipt.
record-refused = Refused by the buyer
record-refused-means = The buyer declined the agreement; the data was not opened.
record-taken-down = Taken down by the relay’s operator
record-taken-down-means = The operator of the relay deleted the transfer before there was a receipt.
record-failed = Not completed
record-failed-means = The transfer could not go on, and there is no receipt.
record-faulty = Something does not hold
record-faulty-means = At least one part of this record is not what it should be: see section 6.
record-program = Made by handover { $version }, form { $form }. This page is one file without scripts and loads nothing from elsewhere. It holds names of items, and neither contents nor plain hashes of contents.
record-checksum = Checksum of everything this page is made from (SHA-256):

record-parties = Parties
record-parties-caption = Who took part, and the keys with which they signed
record-role = Role
record-who = Name
record-key = Fingerprint of the key
record-name-signed = name signed with the announcement
record-name-told = name as stated with the receipt, not signed
record-address-told = the address in use, not signed
record-keys-note = A key proves that everything signed with it comes from one hand. Whose hand that is, compare by another way: in person, by telephone, on a letterhead.
record-agreement = Agreement
record-no-agreement = No agreement was attached to this transfer.
record-agreement-hash = An agreement was attached; SHA-256 { $hash }.
record-agreement-unknown = There is no valid announcement, so it cannot be said.
record-scope = Scope and hand-over list
record-no-scope = The seller has not sealed the data yet; there is no list.
record-files = Files
record-bytes = Bytes
record-folders = Folders
record-links = Links
record-not-sent = Listed, not sent
record-list = Hand-over list
record-list-everything = Every item that was handed over
record-list-entries = Items down to level { $depth }; a folder stands for everything in it
record-list-folders = Folders, each with everything in it
record-list-note = The seller signed this list with the seal, and the buyer confirmed the seal with the receipt. The full list, a line for every item, has the SHA-256 { $hash }.
record-column-number = No.
record-column-name = Name
record-column-kind = Kind
record-column-files = Files
record-column-bytes = Bytes
record-column-dates = Last changed
record-column-type = Ends in
record-column-reason = Reason
record-column-event = What happened
record-column-signed = By the signer’s clock
record-column-relay = By the relay’s clock
record-column-clocks = The clocks
record-column-statement = Statement
record-column-by = Signed by
record-column-when = Time stated
record-column-check = Check
record-line-file = file
record-line-folder = folder
record-line-link = link
record-line-files = files
record-line-rest = (files outside of these folders)
record-dates = { $first } to { $last }
record-total = Total
record-types = By the ending of the name
record-type-none = (none)
record-type-other = (others)
record-exceptions = Exceptions
record-no-exceptions = None: everything that was planned was handed over.
record-exceptions-caption = What was planned and could not be sent
record-kept-existing = { $count ->
    [one] In place of one file the buyer kept its own; the receipt says so and is signed.
   *[other] In place of { $count } files the buyer kept its own; the receipt says so and is signed.
}
record-outcome = On the buyer’s machine
record-outcome-unchanged = Files already there, identical
record-outcome-kept = Files not replaced, as the buyer chose
record-outcome-renamed = Stored under another name
record-outcome-exceptions = Not preserved in every detail
record-outcome-note = As the buyer’s program counted; only “not replaced” is signed, in the receipt.
record-timeline = Timeline
record-timeline-caption = What happened when; { $zone }
record-timeline-note = Each side states the time by its own clock. The relay’s times are as it told the maker of this record, where they do not stand in a signed statement.
record-clock-of = { $side }, signed
record-relay-signed = in a statement, signed
record-relay-told = as told, not signed
record-clocks-agree = agree
record-clocks-later = the relay had it { $span } later
record-clocks-disagree = disagree: { $span } before it was signed
record-event-offer = Transfer announced
record-event-seal = Data sealed, all of it at the relay
record-event-claim = Code used
record-event-receipt = Receipt signed
record-event-created = Transfer accepted by the relay
record-event-first-block = First data at the relay
record-event-completed = All data at the relay
record-event-claimed = Code used
record-event-claim-refused = Somebody else came with the code and was refused
record-event-receipted = Receipt at the relay
record-event-deleted = Data deleted by the relay
record-event-expired = Time over
record-event-revoked = Revoked by the seller
record-event-refused = Agreement refused by the buyer
record-event-paper = A sealed statement at the relay
record-event-taken-down = Taken down by the relay’s operator
record-event-deletion = Data deleted by the relay
record-event-log-head = The relay signed the state of its log
record-event-by = Connection key
record-statements = Statements and their checks
record-statements-caption = Every signed statement, checked when this record was made
record-kind-offer = Announcement
record-kind-seal = Seal
record-kind-claim = Claim
record-kind-receipt = Delivery receipt
record-kind-deletion = Deletion by the relay
record-kind-log-head = Head of the relay’s log
record-second = with the code’s key:
record-valid = valid
record-not-valid = not valid: { $why }
record-absent = not there
record-why-malformed = not in its one form
record-why-signature-form = the signature cannot be read
record-why-purpose = the signature was made for another purpose
record-why-forged = the signature does not fit the text
record-why-signer = signed by another key
record-why-line = line “{ $line }” does not fit
record-why-rests = it rests on “{ $word }”, which does not hold
record-why-hash = not the one that was signed
record-why-numbers = its numbers are not those that were signed
record-document-missing = the text that it names is not here
record-findings = What this record proves
record-proven = Proven by valid signatures
record-proven-nothing = Nothing.
record-not-proven = Not proven by this record
record-mark-proven = proven
record-mark-bad = does not hold
record-mark-missing = missing
record-mark-open = open
record-proves-offer = The holder of the seller’s key announced this transfer, with the seller’s name and the relay’s key.
record-proves-seal = The holder of the seller’s key sealed exactly the files, folders and bytes shown in section 3.
record-proves-claim = The holder of the buyer’s key used the one-time code.
record-proves-receipt = The holder of the buyer’s key received all of it, verified every byte against the seal, and signed for it.
record-proves-deletion = The relay states that it has erased its share of the key and deleted the sealed data, and has signed for it.
record-proves-log-head = The relay has signed the state of its log; `handover audit` shows the entries about this transfer.
record-finding-list = The hand-over list is the one that the seller sealed.
record-finding-missing = There is no statement “{ $kind }”.
record-finding-bad = The statement “{ $kind }” does not hold.
record-finding-no-list = The hand-over list is not here, or is not the one that was sealed.
record-finding-holders = Who holds the keys: compare the fingerprints with the parties.
record-finding-clocks = That a clock was right: times are as each side stated them.
record-finding-contents = What the data means, whether it is true, and whether it may be used.
record-finding-told = Whatever is marked “not signed”: it is the word of whoever made this record.
record-finding-deletion = That no copy is left at the relay: there is only its word.
record-signing = Signatures on paper
record-signing-note = The signatures that count are those in the appendix. This space is for a copy that is filed on paper.
record-signing-seller = Seller: name, date, seal
record-signing-buyer = Buyer: name, date, seal
record-appendix = Appendix: what was signed, byte for byte
record-appendix-how = Everything below can be taken out of this file and checked with OpenSSH and the tools of any Unix; handover is not needed. For the receipt:
record-text = Text, SHA-256 { $id }
record-signature = Signature of the { $side }
record-second-signature = Signature with the code’s key
record-part-signers = Keys of the parties
record-part-summary = Details of the announcement
record-part-list = Hand-over list
record-part-data = Data of this page
record-signers-note = As ssh-keygen reads them (allowed_signers)
record-summary-note = CBOR in base64; its SHA-256 is the line “summary” of the announcement
record-inventory-note = Its SHA-256 is the line “inventory” of the seal
record-data-note = What the rest of the page is made from; not signed

record-written = Record written to { $path }
record-annex-written = Full list written to { $path }: { $count ->
    [one] { $count } item
   *[other] { $count } items
}
record-unaltered = The record is unaltered: it says what its signed parts say.

## Status

column-id = ID
column-role = ROLE
column-state = STATE
column-size = SIZE
column-who = WITH
column-until = UNTIL
column-label = NAME
role-seller = seller
role-buyer = buyer
state-preparing = preparing
state-sending = sending
state-waiting = waiting for the buyer
state-claimed = buyer is receiving
state-collected = collected
state-claiming = connecting
state-receiving = receiving
state-received = receipt to deliver
state-delivered = received
state-revoked = revoked
state-expired = expired
state-refused = agreement refused
state-taken-down = taken down by the relay
state-failed = failed
transfer-title = Transfer { $id } ({ $role })
peer-with-key = { $who } (key { $key })
history-head = History
history-created = begun
history-claimed = code used
history-receipted = receipt signed by the buyer
history-receipt-signed = receipt signed
history-deleted = data deleted at the relay
history-refused = { $count ->
    [one] { $count } attempt by somebody else to use the code was refused
   *[other] { $count } attempts by somebody else to use the code were refused
}
no-transfers = No transfers yet.
status-old = { $count ->
    [one] { $count } transfer is shown as last known: its relay could not be asked.
   *[other] { $count } transfers are shown as last known: their relays could not be asked.
}
nothing-to-resume = Nothing is interrupted.
resume-title = Transfer { $id }

## Wait, revoke, code

wait-buyer = this machine is the buyer of transfer { $id }; the seller waits for the receipt
hint-wait-buyer = `handover status { $id }` shows how far it is
revoked = The code is worthless and the relay has deleted the data.
revoked-unclaimed = Nobody had used the code.
revoked-claimed-nothing = The buyer with key { $key } used the code on { $when }, but has fetched nothing.
revoked-claimed = The buyer with key { $key } used the code on { $when } and may already have { $percent } % of the data.
code-buyer = this machine is the buyer of transfer { $id } and does not keep its code
code-gone-used = the code has been used{ $when } and cannot be shown any more
code-gone = the code of this transfer is of no more use and was not kept
code-words-hint = The buyer types them after `handover pull`, with spaces between.
qr-too-wide = the picture does not fit this window
hint-qr = make the window wider

## Receipts

receipt-valid = The signature is valid and the receipt is unaltered.
receipt-valid-note = Whose key it is, is for you to know: compare the buyer's fingerprint.
receipt-exported = Receipt written to { $folder }
receipt-check-elsewhere = Anyone with OpenSSH can check it:

## Verify

verify-received = { $id }, received from { $who }
verify-received-only = { $id }, received
verify-sent = { $id }, sent to { $who }
verify-sent-only = { $id }, sent
verdict-authenticity = Authenticity
verdict-completeness = Completeness
verdict-usability = Usability
verdict-safety = Safety
list-comma = {", "}
authentic-good = as sealed by the seller and signed for by the buyer; its root is the signed one
authentic-good-sealed = as sealed by the seller; its root is the signed one
authentic-partly = what is here and can be read is as sealed by the seller; the signed root needs all of it
authentic-no-receipt = the buyer has not signed a receipt yet
authentic-seal-bad = offer and seal are not both signed by the seller: nothing here can be relied on
authentic-receipt-bad = the kept receipt does not check
authentic-manifest-bad = what this machine keeps of the contents is not what was signed
authentic-changed = { $count ->
    [one] 1 entry is not what was signed
   *[other] { $count } entries are not what was signed
}
authentic-other-kind = { $count ->
    [one] 1 entry is something else than was signed
   *[other] { $count } entries are something else than was signed
}
authentic-other-mode = { $count ->
    [one] 1 entry has other permissions than were signed
   *[other] { $count } entries have other permissions than were signed
}
authentic-added = { $count ->
    [one] 1 entry was added that the seller did not send
   *[other] { $count } entries were added that the seller did not send
}
authentic-beside = { $count ->
    [one] beside it is 1 entry that was not part of the transfer
   *[other] beside it are { $count } entries that were not part of the transfer
}
complete-good = all that was sent is there: { $all }
complete-missing = { $count ->
    [one] 1 entry is missing
   *[other] { $count } entries are missing
}
complete-left-out = { $count ->
    [one] 1 entry was left out when it came, because you kept what was there
   *[other] { $count } entries were left out when they came, because you kept what was there
}
complete-listed = { $count ->
    [one] 1 entry is listed as not sent, in what was signed
   *[other] { $count } entries are listed as not sent, in what was signed
}
usable-good = every file opens and reads to its end, { $size }
usable-unreadable = { $count ->
    [one] 1 entry cannot be read
   *[other] { $count } entries cannot be read
}
usable-shortened = { $count ->
    [one] 1 file is shorter than it was
   *[other] { $count } files are shorter than they were
}
safety-good = no write permission for others, no link that leads out, no copy left behind
safety-exposed = { $count ->
    [one] 1 entry can be changed by every user of this machine
   *[other] { $count } entries can be changed by every user of this machine
}
safety-exposed-as-sent = { $count ->
    [one] 1 entry can be changed by every user of this machine, as it was sent or as it was before
   *[other] { $count } entries can be changed by every user of this machine, as they were sent or as they were before
}
safety-privileged = { $count ->
    [one] 1 file runs with the rights of its owner (setuid)
   *[other] { $count } files run with the rights of their owners (setuid)
}
safety-leads-out = { $count ->
    [one] 1 link leads out of the folder
   *[other] { $count } links lead out of the folder
}
safety-own-remains = partial data is left in .handover; to remove it: handover resume { $id } or handover destroy { $id }
safety-other-remains = .handover holds partial data of another transfer
verify-times = Times differ in { $count } (copying does that); it counts against nothing.
differences-head = Differences
differences-more = … and { $count } more (--all names every one)
difference-missing = missing
difference-changed = changed
difference-shortened = shortened
difference-unreadable = unreadable
difference-added = added
difference-other-kind = other kind
difference-other-mode = permissions
difference-other-time = time
difference-exposed = writable
difference-privileged = setuid
difference-leads-out = leads out
verify-matches-received = It matches what was received.
verify-matches-sent = It matches what was sent.
verify-differs-received = It does not match what was received.
verify-differs-sent = It does not match what was sent.

## Destroy

destroy-head-seller = What this machine still holds of transfer { $id }, which it sent:
destroy-head-buyer = What this machine still holds of transfer { $id }, which it received (the received files are yours and stay):
destroy-changed = { $count ->
    [one] 1 sent file has changed since, or cannot be looked at; it stays
   *[other] { $count } sent files have changed since, or cannot be looked at; they stay
}
destroy-elsewhere = { $count ->
    [one] 1 of the files lies outside the folders that were named; it was sent through a link
   *[other] { $count } of the files lie outside the folders that were named; they were sent through links
}
destroy-strangers = { $count ->
    [one] 1 file beside it does not belong to this program; it stays, and the verdict is UNKNOWN
   *[other] { $count } files beside it do not belong to this program; they stay, and the verdict is UNKNOWN
}
destroy-destination-gone = the destination cannot be looked at: whether partial data is in it is UNKNOWN
destroy-gives-up = this pull is not finished: it ends here, and the code cannot be used again
destroy-continues = an earlier run did not get to its end; this one goes on with it
destroy-stays = What stays: statements, receipts and the record. They hold counts and signatures, none of the contents.
destroy-declined = Nothing was destroyed.
destroy-nothing-left = Nothing is left to destroy; this is the certificate of what was.
destroy-confirm-wrong = what was given with --confirm is not what has to be typed
hint-destroy-confirm = it is: destroy source { $id }
ask-destroy = Destroy { $total }? This cannot be undone. [y/N]
ask-destroy-source = Destroy { $total }, the sent files among them? This cannot be undone. To do it, type: destroy source { $id }
item-secrets = keys and codes
item-journal = journals and plans
item-manifest = lists of the contents
item-partial = partial data
item-source = the sent files
certificate-title = CERTIFICATE OF DESTRUCTION
outcome-pass = PASS: everything that was to be destroyed is gone
outcome-failed = { $count ->
    [one] FAILED: 1 name is still there
   *[other] FAILED: { $count } names are still there
}
outcome-unknown = UNKNOWN: not everything could be looked at
certificate-seller = what was left with the seller of the transfer
certificate-buyer = what was left with the buyer of the transfer, beside the received files
certificate-program = program data (keys, journals, lists, partial data): { $amount }
certificate-source = sent files: { $amount }
certificate-kept = { $count ->
    [one] 1 sent file was left, because it has changed since
   *[other] { $count } sent files were left, because they have changed since
}
method-overwrite = { $count ->
    [one] Clear (NIST SP 800-88): 1 file overwritten once with zeros; all names removed; synced
   *[other] Clear (NIST SP 800-88): { $count } files overwritten once with zeros; all names removed; synced
}
method-unlink = Clear (NIST SP 800-88): all names removed; synced; not overwritten, because this file system does not write in place
certificate-times = { $started } to { $finished }
checked-names = every folder was opened again and each name looked for
no-witness = none (handover witness FILE)
saw-certificate = { $who } has seen this certificate, { $when }
saw-destruction = { $who } was present, { $when }
not-covered = snapshots, backups, spare blocks of flash drives, and what the other side has
certificate-exported = Certificate written to { $folder }
certificate-valid = The certificate is signed by the key it names.
witness-signed = Co-signed as a witness.
next-certificate = the certificate as files
problem-still-open = transfer { $id } is not over: what would be destroyed is still needed
hint-still-open = end it first: handover revoke { $id }, or handover resume { $id } to deliver the receipt
problem-no-plan = this machine does not know which files were sent in transfer { $id }
hint-no-plan = --source is for the seller's side, before its plan is destroyed; without --source everything else goes
problem-bad-certificate = the certificate does not check: { $detail }
hint-bad-certificate = do not rely on it; ask for the original file and its signature
failure-destroyed = it was destroyed here before it was finished

## Identity

identity-none = this machine has no identity yet
hint-identity-none = the first push or pull makes one; or: handover identity create --name NAME
identity-exists = this machine has an identity already, with key { $key }
hint-identity-exists = what was signed with it depends on it; use another --home for another identity
identity-created = New key made.
identity-imported = Key imported.
key-in-file = in a file of this machine, without a passphrase (handover identity passphrase sets one)
key-in-protected-file = in a file of this machine, protected by a passphrase
key-in-agent = with the ssh-agent
identity-with-agent = this key is held by an ssh-agent, and protected there
hint-identity-with-agent = see ssh-add and ssh-keygen -p
passphrase-set = The key is protected by the new passphrase.
passphrase-removed = The key has no passphrase any more.
passphrase-empty = the new passphrase is empty
hint-passphrase-empty = to take the protection away: handover identity passphrase --remove
agent-several = the agent holds several keys:{ $keys }
hint-agent-several = name one: handover identity import --agent FINGERPRINT
ask-passphrase = Passphrase of your key:
ask-passphrase-again = That does not fit. Passphrase of your key:
ask-new-passphrase = New passphrase:
ask-new-passphrase-again = The same once more:
ask-passphrase-empty = An empty passphrase protects nothing.
ask-passphrase-differs = The two are not the same.
problem-key-locked = the key of this machine is protected by a passphrase, and nobody gave it
hint-key-locked = run it at a terminal, or give --passphrase-file FILE
problem-wrong-passphrase = the passphrase does not fit the key
hint-wrong-passphrase = try again; without it the key cannot be used
problem-agent-unreachable = the ssh-agent that holds this machine's key cannot be reached
hint-agent-unreachable = start it and set SSH_AUTH_SOCK: eval "$(ssh-agent)"
problem-agent-absent = the ssh-agent does not hold the key
hint-agent-absent = add it: ssh-add FILE; what it holds: ssh-add -l
problem-agent-refused = the ssh-agent refused to sign
hint-agent-refused = it may want to be unlocked or asked: ssh-add -X, or look for its window
problem-agent-misbehaved = the ssh-agent's answer makes no sense
problem-bad-key = the key is of no use: { $why }
hint-bad-key = handover signs with OpenSSH Ed25519 keys: ssh-keygen -t ed25519
bad-key-malformed = it is no OpenSSH private key
bad-key-work = it asks for { $seen } rounds of work for its passphrase, the limit is { $limit }
bad-key-kind = it is not an Ed25519 key
bad-key-order = its signatures would prove nothing
problem-other-seller = the offer is by { $seen }, and you expected { $expected }
hint-other-seller = nothing was taken and the code is not used up; ask the seller which key is theirs
problem-other-buyer = the code was used by { $seen }, and you expected { $expected }
hint-other-buyer = no more is sent and no receipt of this key is accepted; what was taken before is taken. To delete what is left: handover revoke { $id }

## Relays

relay-added = Enrolled at { $relay }; push uses it from now on.
relay-removed = Forgot { $relay }.
relay-unknown = the relay { $relay } is not in the relay book
hint-relay-unknown = `handover relay list` shows what is in it
relay-test-none = there is no relay in the relay book
hint-relay-test-none = name one: handover relay test HOST
relay-test-embedded = the relay inside a push is on this very machine
no-relays = No relays yet: push runs one inside itself. Add one with: handover relay add INVITE
relays-default = * is the relay that push uses
invite-wrong = this is not an invite, or it is mistyped
hint-invite-wrong = copy the whole line that the relay printed; it begins with hr1

## The doctor

label-name-check = Name
label-proxy = Proxy
label-way = Way
label-clock = Clock
label-disk = Disk
label-rights = Rights
label-identity = Identity
label-transfers = Transfers
label-left-behind = Left behind
label-terminal = Terminal
verdict-fine = ok
verdict-warning = look
verdict-failed = failed
doctor-no-relay = no relay in the relay book, none tested; to test one: handover relay test HOST
doctor-name-not-needed = { $address } is an address, no name has to be looked up
doctor-name = { $host } is { $addresses }
doctor-name-unknown = { $host } has no address: { $reason }
doctor-name-unknown-advice = Check the spelling; if other names fail too, this machine's name server (DNS) does not work.
doctor-name-silent = nobody says which address { $host } has
doctor-name-silent-advice = This machine's name server (DNS) does not answer: check the network, or try another network.
doctor-no-proxy = none set
doctor-udp = { $answering } answers
doctor-udp-some = { $answering } answers; silent: { $silent }
doctor-udp-some-advice = It works; a silent IPv6 address only costs a moment at the start. Tell whoever runs the network or the relay.
doctor-udp-silent = no answer from { $silent }: { $reason }
doctor-udp-silent-advice = Is the relay running? If it is, a firewall drops UDP to port { $port }: ask for that port to be opened, or try another network, such as a telephone's.
doctor-udp-blocked-advice = A firewall drops UDP. TCP is used instead and is slower; ask for UDP to port { $port } to be opened.
doctor-tcp-silent-advice = Where UDP is blocked, this relay could not be reached: its operator should open TCP to port { $port } as well.
doctor-other-version = what answers at { $relay } does not speak the protocol of handover { $own }
doctor-refused = the relay refuses: { $reason }
doctor-broken-advice = Run the check again; if it fails again, tell the relay's operator.
doctor-path = { $ms } ms there and back, packets of up to { $bytes } bytes
doctor-key-known = { $key }, as in the relay book
doctor-key-other = { $seen } instead of { $expected }
doctor-key-other-advice = Another machine answers, or the relay's key was replaced. Send nothing; ask the relay's operator.
doctor-key-new = { $key }, never seen before; compare it with what the relay's operator says
doctor-clock-fine = this machine and the relay agree to { $seconds } s
doctor-clock-ahead = this machine is { $span } ahead of the relay
doctor-clock-behind = this machine is { $span } behind the relay
doctor-clock-advice = Switch on automatic time here; if this machine is right, tell the relay's operator. Expiry follows the relay's clock.
doctor-relay = { $version }; takes { $size } per transfer, keeps it { $usual }, at most { $most }
doctor-enrolled = this machine may send through it
doctor-not-enrolled = this machine may receive through it; sending needs an invite
doctor-no-more-enrolled = this machine may no longer send through it
doctor-disk = { $path }: { $free } free, writes { $speed }
doctor-disk-unknown = { $path }: writes { $speed }
doctor-disk-advice = There is little room, or the disk is slow: choose another folder with --out, or make room.
doctor-disk-failed = { $path } cannot be written to: { $reason }
doctor-disk-failed-advice = Choose another folder with --out, make room, or give yourself the right to write there.
doctor-state-failed-advice = Make room, or give yourself the right to write there; --home chooses another folder for handover's own files.
doctor-rights = { $path } is for you only
doctor-rights-open = others can read { $path } (mode { $mode })
doctor-rights-open-advice = Keys and codes are in there. Close it with: chmod go-rwx { $path }
doctor-identity = { $key }
doctor-no-identity = none yet; the first push or pull makes one
doctor-nothing-interrupted = nothing is interrupted
doctor-interrupted = { $count ->
    [one] { $count } is interrupted: { $ids }
   *[other] { $count } are interrupted: { $ids }
}
doctor-interrupted-advice = Continue with: handover resume
doctor-left-behind = { $path } holds what { $count ->
    [one] { $count } transfer
   *[other] { $count } transfers
} left there
doctor-left-behind-advice = No transfer of this machine needs it any more; unless another user of this folder does, it can be deleted.
doctor-terminal = { $columns } columns, { $locale }
doctor-no-terminal = no terminal, { $locale }
doctor-terminal-advice = This locale cannot show every name. Set LANG to one with UTF-8, such as en_US.UTF-8 or zh_CN.UTF-8.
doctor-no-locale = no locale set
doctor-end-fine = Everything is as it should be.
doctor-end-warnings = { $count ->
    [one] It works; { $count } thing deserves a look.
   *[other] It works; { $count } things deserve a look.
}
doctor-end-failed = { $count ->
    [one] { $count } check failed.
   *[other] { $count } checks failed.
}
doctor-not-done = the time was over before everything was looked at
doctor-not-done-advice = Run it again; something here is very slow.

## Faults of the command line

error = error
error-line = { $head }: { $message }
hint-line = {"  "}{ $hint }
usage-unknown-argument = { $argument } is not understood
usage-unknown-command = there is no command { $command }
usage-code-without-command = this looks like a code without a command
usage-value = the value { $value } of { $argument } is not understood
usage-value-missing = { $argument } needs a value
usage-value-count = { $argument } was given the wrong number of values
usage-conflict = { $argument } cannot be used together with { $other }
usage-missing = { $argument } is missing
usage-missing-command = a command is missing
usage-not-unicode = an argument is not valid text
usage-other = the command line is not understood
usage-stdin-twice = - for standard input was given more than once
usage-proxy-credentials = a name and a password on the command line can be read by every user of this machine
hint-proxy-credentials = set the proxy with them in the variable HANDOVER_PROXY or HTTPS_PROXY: http://NAME:PASSWORD@HOST:PORT
usage-proxy-quic = QUIC does not go through a proxy
hint-proxy-quic = leave out --transport quic, or use --proxy none
usage-as = --as names what comes from standard input, and - was not given
hint-as = for example: pg_dump shop | handover push - --as shop.sql
hint-help = see: handover help
hint-help-command = see: handover help { $command }
hint-did-you-mean = did you mean { $near }?
hint-one-of = one of: { $values }
hint-push-path = did you mean: handover push { $path }
hint-code-without-command = to receive, run `handover pull` and paste the code when it asks
config-unreadable = { $path } is not valid TOML, line { $line }
config-unknown = config.toml has { $name }, which is not an option
config-value = the value of { $name } is not understood
hint-config = options in config.toml have the names of the command line, such as relay = "relay.example" or no-qr = true

## Problems: the code

problem-code-empty = no code was given
problem-code-not = this is not a code
problem-code-typo-at = the code is mistyped near character { $position }
problem-code-typo = the code is mistyped
problem-code-word = word { $position } of the code is not in the word list
problem-code-length = the code has { $seen } characters or words instead of { $wanted }
problem-code-address = what follows @ in the code is not an address
hint-code-again = compare it with the seller's, character by character; nothing has been used up
hint-code-give = give the code as `handover pull CODE`, in a file with --code-file, or in HANDOVER_CODE
hint-code-form = a code looks like ho1…@relay.example, or is 15 words

## Problems: what is sent

problem-source-missing = { $path } does not exist
hint-source-missing = check the spelling and the current folder; put names with blanks in quotes
problem-source-unreadable = { $path } cannot be read: { $reason }
hint-source-unreadable = give yourself the right to read it, or leave it out with --exclude
problem-same-name = { $first } and { $second } would have the same name in the transfer
hint-same-name = rename one of them, or send them in two transfers
problem-nothing-to-send = nothing is left to send
hint-nothing-to-send = see what the patterns leave out: handover push --dry-run
problem-bad-pattern = { $pattern } is not a valid pattern
hint-bad-pattern = patterns follow the rules of gitignore; put them in quotes so that the shell leaves them alone
problem-stdin = what came from standard input was only there once and cannot be read again
hint-stdin = start it anew: run the command again with --new

## Problems: the relay

problem-no-relay = the code names no relay
hint-no-relay = ask the seller for the relay's address and add --relay HOST
problem-no-relay-seller = this relay is not in the relay book
problem-unreachable = the relay { $relay } cannot be reached: { $reason }
hint-unreachable = check the network and the address, and whether a proxy is needed (--proxy); the same command continues
problem-proxy = the proxy { $proxy } does not lead to { $relay }: { $reason }
problem-proxy-variable = the variable { $variable } does not hold the address of a proxy
problem-proxy-kind = the variable { $variable } names a kind of proxy that handover does not speak
proxy-credentials = it wants a name and a password, or others
proxy-status = it answered with HTTP status { $status }
proxy-reply = it answered with SOCKS reply { $reply }
proxy-garbled = its answer makes no sense
hint-proxy = check its address, and whether it lets you reach this host and port; --proxy none goes without
problem-version = the relay { $relay } does not speak the protocol of handover { $own }
hint-version = use the same version on both sides and on the relay
problem-relay-key = another machine than expected answers at { $relay }; its key is not { $expected }
problem-relay-key-seen = another machine than expected answers at { $relay }: its key is { $seen } instead of { $expected }
hint-relay-key = nothing was sent; ask the relay's operator whether the key was replaced, and for a new invite
problem-lost = the connection to the relay { $relay } broke: { $cause }
hint-lost = try again later; the same command continues
problem-misbehaved = the relay's answer makes no sense: { $detail }
hint-misbehaved = check that relay and program have the same version; tell the relay's operator

## Problems: what came, and this machine

problem-altered = verification failed, what came is not what was sealed: { $detail }
problem-altered-block = verification failed, block { $block } is not what was sealed: { $detail }
hint-altered = nothing unverified was kept under its name; run the command again, and if it fails again, tell the seller
problem-bad-claim = the relay shows a claim that nobody with the code has made
hint-bad-claim = it opens nothing to anybody; run the command again, and if the relay goes on so, revoke the transfer and use another relay
problem-bad-receipt = the receipt is not valid: { $detail }
hint-bad-receipt = do not count this transfer as received; ask the buyer
problem-bad-agreement = the agreement or its refusal is not valid: { $detail }
hint-bad-agreement = do not count on it; ask the buyer, and the relay's operator
problem-bad-document = { $path } cannot be the agreement: it has { $bytes } bytes, and 1 to { $limit } are possible
hint-bad-document = give the document itself, as PDF or text
problem-bad-name = it must not be empty, and at most { $limit } characters long
hint-bad-name = give the full name with --as, or a shorter --reason
problem-no-agreement = this transfer has no agreement
hint-no-agreement = leave the option out
problem-other-agreement = nothing was signed: the agreement of this transfer has the SHA-256 { $digest }
hint-other-agreement = read it first, then: --accept-agreement { $digest } --as NAME
problem-disk = { $doing } failed: { $path }: { $reason }
hint-disk = check rights and disk, then run the same command again; it continues
hint-disk-full = make room, then run the same command again; it continues
problem-space = not enough space in { $path }: { $needed } needed, { $free } free
hint-space = make room, or choose another folder with --out
problem-conflicts = { $count ->
    [one] another file of the same name is in the way: { $first }
   *[other] { $count } other files of the same names are in the way, the first is { $first }
}
hint-conflicts = say what to do with --conflict skip, rename or overwrite, or choose another folder with --out; nothing was overwritten
problem-not-one-file = only a transfer of a single file can go to standard output
hint-not-one-file = choose a folder with --out DIR; the code is still good
problem-cannot-take-back = the file changed while it was sent, and what went to standard output cannot be taken back
hint-cannot-take-back = do not use what was written; run the same command again with --out DIR
problem-state = a file of this machine's state is not as it was left: { $path }: { $detail }
hint-state = restore it from a backup, or move it away and begin anew
problem-journal = the relay holds { $relay } blocks of this transfer, but this machine only remembers { $journal }
hint-journal = was an older state restored from a backup? Start anew with --new
problem-internal = something failed that never should: { $detail }
hint-internal = please report this; the same command continues
problem-stdout = standard output cannot be written: { $reason }
hint-stdout = the transfer goes on; `handover code { $id }` shows the code again
hint-stdout-closed = check what standard output is connected to

## Problems: the run

problem-no-transfer = there is no transfer { $asked } on this machine
hint-no-transfer = `handover status` lists the transfers
problem-no-receipt = transfer { $id } has no receipt yet
problem-not-ours = { $path } belongs to no transfer of this machine
hint-not-ours = handover status lists the transfers; handover verify DIR --id N checks a copy against transfer N
problem-not-whole = there is nothing to check transfer { $id } against: it did not get to its end here, or what that needs was destroyed
hint-not-whole = handover status { $id } says how far it is
problem-no-folder = transfer { $id } has no folder here: it came from standard input or went to standard output
hint-no-folder = where it was saved, check it with: handover verify DIR --id { $id }
hint-no-receipt = wait for it: handover wait { $id }
problem-held = another run is working on transfer { $id }
hint-held = wait for it or stop it; `handover status { $id }` shows how far it is
problem-answer = an answer is needed and there is nobody to ask
hint-answer = answer with { $option }
problem-declined = Nothing was claimed; the code is still good.
hint-declined = run the same command again to take it
problem-ended = the other side ended this transfer
hint-ended = ask the other side
problem-interrupted = interrupted; everything so far is kept
hint-interrupted = the same command continues
hint-interrupted-id = continue with: handover resume { $id }

## Reasons given by the system

reason-not-found = not found
reason-permission = permission denied
reason-read-only = the file system is read-only
reason-full = the disk is full
reason-quota = the disk quota is used up
reason-too-large = the file is too large for this file system
reason-exists = it exists already
reason-not-a-folder = a part of the path is not a folder
reason-is-a-folder = it is a folder
reason-timed-out = no answer in time
reason-refused = connection refused
reason-no-route = no route to it
reason-pipe = the other end is closed

## Refusals of the relay

refusal-not-found = the relay knows no transfer for this code
hint-not-found = check the code with the seller; the transfer may be over and forgotten
refusal-not-found-seller = the relay does not know this transfer any more
hint-not-found-seller = send it again with --new
refusal-used = the code has already been used{ $when }; a code can be used only once
hint-used = if that was you, go on with `handover resume` on the machine that used it; if not, tell the seller at once
refusal-revoked = the seller took this transfer back{ $when }
refusal-revoked-seller = this transfer was revoked{ $when }
refusal-expired = the code expired{ $when }
refusal-taken-down = the relay's operator has taken this transfer down{ $when }; its key share was erased first
hint-taken-down = `handover audit show` says why, as far as the operator said; ask the operator, or send through another relay
refusal-expired-seller = this transfer expired{ $when } before the receipt came
refusal-by-buyer = the agreement was refused{ $when }; the code is worthless and the data is gone
refusal-by-buyer-seller = the buyer refused the agreement{ $when }; the code is worthless and the relay has deleted the data
hint-by-buyer-seller = talk to the buyer; then send it again with another agreement or without one, for a new code
refusal-agreement = the relay hands nothing out before the agreement of this transfer is signed
hint-agreement = run the same command again to read and sign the agreement
refusal-receipted = the code has been used: this transfer was received and receipted{ $when }; a code can be used only once
hint-receipted = `handover receipt show` on the machine that received it shows the receipt
refusal-claim = the relay did not accept the proof that this machine knows the code
hint-claim = run the same command again; if it fails again, check that both sides have the same version
hint-ask-seller = ask the seller for a new code
hint-push-again = send it again for a new code
refusal-not-enrolled = this machine may not send through this relay
hint-not-enrolled = ask the relay's operator for an invite, then: handover relay add INVITE
refusal-invite = the relay does not accept this invite
hint-invite = it is used up, revoked or of another relay; ask the relay's operator for a new one
refusal-quota = this is more than the relay allows you
refusal-quota-size = this is more than the relay allows you, which is { $limit }
refusal-quota-time = this is longer than the relay allows; the latest is{ $when }
hint-quota = send less at once, ask for less time with --expires, or talk to the relay's operator
refusal-full = the relay's storage is full
refusal-full-room = the relay's storage is full: it has room for { $room }
hint-full = try again later, or tell the relay's operator; the same command continues
refusal-clock = the relay does not accept a time; the clock of this machine or of the relay is wrong
hint-clock = set the clock of this machine and try again
refusal-not-allowed = the relay does not allow this to this machine
hint-not-allowed = use the machine that began the transfer
refusal-version = the relay and this program have no protocol version in common
refusal-too-large = something is larger than the relay accepts
hint-too-large = shorten label and names, or talk to the relay's operator
refusal-bad-message = the relay did not understand this program
refusal-superseded = a newer run of the same transfer took over
hint-superseded = nothing is lost; let the newer run finish
refusal-conflict = the relay already holds other content for this transfer
hint-conflict = start anew with --new
refusal-not-complete = the seller has not sent everything yet
refusal-busy = the relay is busy
refusal-draining = the relay is shutting down
refusal-internal = the relay failed for a reason of its own

## The demo

demo-title = A handover on this computer: seller, relay and buyer are three processes that talk over the network
demo-data = The data: made up, nobody in it exists
demo-data-more = Excel tables with a byte-order mark, JSON, GB18030, scans, a link, hidden and empty files, Chinese, Arabic, emoji
demo-relay = The relay
demo-invite = It printed an invite for sellers (hr1…), which is a secret.
demo-seller = The seller
demo-relay-sees = What the relay sees: everything on its disk
demo-blind = Searched all of it for { $names }: found nowhere
demo-buyer = The buyer
demo-stranger = Somebody else with the same code
demo-receipt = The receipt
demo-openssh = OpenSSH says: the signature is good.
demo-no-openssh = ssh-keygen is not here or too old to check signatures.
demo-compare = Compared
demo-same = { $amount }: the same byte for byte, with names, times, permissions and links
demo-emptied = The relay has deleted the data; { $size } of keys, ledger and log remain
demo-unlike = { $path } is not the same on both sides
demo-timing = Time
demo-time = { $seconds } s, { $speed }
demo-by-hand = The same by hand, on three computers
demo-name-relay = relay
demo-name-stranger = stranger
demo-kept = The demo's files are in { $folder }
demo-cleaned = The demo's files have been removed.
demo-failed = the demo stopped at the { $who }
hint-demo-failed = run it again with --keep and look at what it left

## Details: what exactly, as the library says it

detail-a-file-is-longer-than-it-can-be = a file is longer than it can be
detail-a-file-of-the-transfer-is-damaged = a file of the transfer is damaged
detail-a-file-of-the-transfer-is-missing = a file of the transfer is missing
detail-a-secret-of-the-transfer-is-missing = a secret of the transfer is missing
detail-a-statement-is-damaged = a statement is damaged
detail-a-statement-is-missing-or-damaged = a statement is missing or damaged
detail-a-transfer-has-no-facts = a transfer has no facts
detail-a-transfer-s-facts-are-damaged = a transfer's facts are damaged
detail-a-transfer-s-file-is-damaged = a transfer's file is damaged
detail-a-transfer-s-secrets-are-damaged = a transfer's secrets are damaged
detail-a-transfer-s-secrets-are-gone = a transfer's secrets are gone
detail-agreement = the agreement
detail-answered-another-question = answered another question
detail-sends-a-paper-that-is-too-long = sends a paper that is too long
detail-sends-an-empty-paper = sends an empty paper
detail-completed-what-was-not-complete = completed what was not complete
detail-finding-the-destination = finding the destination
detail-finished-before-the-last-block = finished before the last block
detail-finished-without-an-answer = finished without an answer
detail-has-a-receipt-and-does-not-show-it = has a receipt and does not show it
detail-has-fewer-blocks-than-it-has-served = has fewer blocks than it has served
detail-has-lost-blocks-that-it-had-acknowledged = has lost blocks that it had acknowledged
detail-has-no-address = has no address
detail-it-cannot-be-opened = it cannot be opened
detail-it-is-malformed = it is malformed
detail-it-is-not-text = it is not text
detail-it-is-signed-by-another-key = it is signed by another key
detail-it-is-signed-by-another-key-than-it-names = it is signed by another key than it names
detail-looking-at-what-is-there = looking at what is there
detail-making-a-folder = making a folder
detail-making-the-destination = making the destination
detail-making-the-folder = making the folder
detail-making-the-work-folder = making the work folder
detail-no-home-folder-is-known = no home folder is known
detail-nobody-has-claimed = nobody has claimed
detail-opening = opening
detail-opening-standard-output = opening standard output
detail-opening-the-destination = opening the destination
detail-opening-the-journal = opening the journal
detail-opening-the-list = opening the list
detail-opening-the-list-of-records = opening the list of records
detail-opening-the-lock = opening the lock
detail-opening-the-state-folder = opening the state folder
detail-presented-no-raw-public-key = presented no raw public key
detail-reading = reading
detail-reading-a-list-of-patterns = reading a list of patterns
detail-reading-standard-input = reading standard input
detail-reading-the-answer = reading the answer
detail-reading-the-code = reading the code
detail-reading-the-invite = reading the invite
detail-reading-the-key = reading the key
detail-reading-the-list = reading the list
detail-reading-the-list-of-records = reading the list of records
detail-reading-the-plan = reading the plan
detail-removing = removing
detail-removing-the-checkpoint = removing the checkpoint
detail-running-the-demo = running the demo
detail-sent-a-malformed-reply = sent a malformed reply
detail-sent-an-impossible-length = sent an impossible length
detail-shows-another-claim-than-before = shows another claim than before
detail-starting-a-thread = starting a thread
detail-syncing-the-list = syncing the list
detail-syncing-what-was-received = syncing what was received
detail-taking-the-lock = taking the lock
detail-the-identity-cannot-be-read = the identity cannot be read
problem-bad-record = the record does not check: { $detail }
problem-bad-record-line = the record does not check: { $detail } (first in line { $line })
problem-record-form = the record was made in form { $seen }; this version of handover knows form { $own }
hint-bad-record = Do not rely on it. Ask for the record once more, from the other side too.
hint-record-form = Check it with the version that made it, or by hand as RECORD.md describes.
detail-the-seller-s-key-is-not-the-one-you-named = the seller’s key is not the one you named
detail-the-buyer-s-key-is-not-the-one-you-named = the buyer’s key is not the one you named
detail-it-is-longer-than-a-record-can-be = it is longer than a record can be
detail-it-is-in-no-language-that-is-known-here = it is in no language that is known here
detail-its-data-cannot-be-read = its data cannot be read
detail-it-does-not-say-what-its-signed-parts-say = it does not say what its signed parts say
detail-it-is-not-a-handover-record = it is not a handover record
detail-reading-the-record = reading the record
detail-writing-the-record = writing the record
detail-writing-the-full-list = writing the full list
detail-the-full-list-is-not-kept-any-more = the full list is not kept any more
detail-the-full-list-is-not-the-one-that-was-sealed = the full list is not the one that was sealed
detail-the-kept-offer-does-not-check = the kept offer does not check
detail-the-kept-inventory-is-damaged = the kept hand-over list is damaged
detail-the-kept-history-is-damaged = the kept history is damaged
detail-the-kept-agreement-does-not-check = the kept agreement does not check
detail-the-kept-refusal-does-not-check = the kept refusal does not check
detail-the-kept-receipt-is-damaged = the kept receipt is damaged
detail-the-kept-seal-is-damaged = the kept seal is damaged
detail-the-key-that-signed-it-is-not-in-the-list-of-signers = the key that signed it is not in the list of signers
detail-the-key-to-open-it-is-gone = the key to open it is gone
detail-the-link-key-is-damaged = the link key is damaged
detail-the-list-of-moves-is-damaged = the list of moves is damaged
detail-the-list-of-records-is-damaged = the list of records is damaged
detail-the-outcome-is-damaged = the outcome is damaged
detail-the-plan-of-a-transfer-is-damaged = the plan of a transfer is damaged
detail-the-kept-manifest-is-damaged = the kept manifest is damaged
detail-destroying = destroying
detail-writing-the-certificate = writing the certificate
detail-somebody-has-co-signed-it-already = somebody has co-signed it already
detail-it-is-this-identity-s-own-a-witness-is-somebody-else = it is this identity's own: a witness is somebody else
detail-its-lines-contradict-each-other = its lines contradict each other
detail-opening-the-folder = opening the folder
detail-writing-the-manifest = writing the manifest
detail-reading-the-manifest = reading the manifest
detail-the-receipt-is-damaged = the receipt is damaged
detail-the-receipt-is-missing = the receipt is missing
detail-the-relay-book-cannot-be-read = the relay book cannot be read
detail-the-relay-does-not-show-it = the relay does not show it
detail-the-relay-inside-this-process-does-not-start = the relay inside this process does not start
detail-there-is-an-identity-already = there is an identity already
detail-there-is-no-key-file = there is no key file
detail-reading-the-passphrase = reading the passphrase
detail-what-was-announced-is-missing-or-damaged = what was announced is missing or damaged
detail-wiping-the-old-secrets = wiping the old secrets
detail-writing = writing
detail-writing-the-code = writing the code
detail-writing-the-journal = writing the journal
detail-writing-the-list = writing the list
detail-writing-the-list-of-records = writing the list of records
detail-writing-the-plan = writing the plan
detail-writing-the-receipt = writing the receipt
detail-writing-to-standard-output = writing to standard output
detail-the-kept-log-is-damaged = the kept log is damaged
detail-writing-the-log = writing the log
