"""What the made-up customers of the embedded sample say about orders. See `sample_grammar.py`.

Invented sentences: no real people, companies or messages.
"""

from __future__ import annotations

from .grammar import Intent, lines

ORDER_INTENTS: dict[str, Intent] = {
    "delivery_status": Intent(
        share=0.18,
        asks=lines("""
Where is {order}[, please|]?
When will {order} [arrive|be delivered|get here]?
Has {order} been [shipped|sent|dispatched] yet?
{can}tell me [when|on which day] {item} will arrive?
The tracking for {order} has not moved for {long}[, what is going on|]?
I ordered {item} {ago} and it still hasn't arrived.
Still no sign of {order}, it should have been here {ago}.
I have been waiting {long} for {item}. [Any news|When does it come]?
My tracking link [does not work|shows nothing], so where is the {parcel} now?
Is the {parcel} still coming {soon}?
The courier said {when}, but no {parcel} came. Where is it?
I do not mind waiting, but I would like a delivery date for {order}.
If {item} does not arrive {soon} I will have to cancel. Where is it?
{want} know where {order} is before I think about a refund.
Tracking says delivered, but I received nothing. Where did you leave the {parcel}?
Nobody was at my address when the courier came. When will they try again?
How long does delivery [normally |]take? I ordered {item} {ago}.
{can}check on the delivery of {order}?
Do I need to be home {soon} for the {parcel}?
Only half of {order} came. When does the rest arrive?
Which courier has {order}, and when will it be here?
My account says [shipped|on its way], the courier says no. Where is {order}?
Please send me the tracking [number|link] for {order}.
I need {item} {soon}, will it be here in time?
Did {order} get lost? It was sent {ago}.
The invoice came by mail, the {noun} did not. When is it delivered?
{order} is late[ again|]. What is the new delivery date?
"""),
        wants=lines("""
find out where {order} is
see when {order} arrives
find out when {item} will be delivered
check the delivery of {order}
get the tracking number for {order}
see when my {parcel} comes
"""),
        past=lines("""
{order} arrived {when}
the {parcel} was delivered to my address {when}
the tracking says that {order} was delivered
{item} was shipped {when}
the courier brought {order} {when}
delivery was quick this time
"""),
        topics=("the delivery", "the tracking number", "a late parcel", "the delivery date"),
    ),
    "cancel_order": Intent(
        share=0.15,
        asks=lines("""
[Please cancel|Kindly cancel|Cancel] {order}.
{want} cancel {order}[, please|].
{can}cancel {order} before it ships?
I changed my mind about {item}, [please cancel it|please don't send it].
I ordered {item} twice by mistake. Cancel one of them, please.
The delivery takes too long, so please cancel {order}.
If {order} has not been shipped yet, cancel it.
Is it still possible to cancel {order}?
How [do|can] I cancel an order [that I placed {when}|that is not sent yet]?
I no longer need {item}. Please stop the order.
Please stop {order}, I found {item} in another shop.
I don't want {item} any more, take it off my account and don't deliver it.
My kid ordered {item} by accident. {can}call it off?
I can't find the cancel button for {order}.
You have not sent {item} yet, so I would rather not have it at all.
The address is wrong and it takes too long to fix. Just cancel {order}.
I do not want to wait {long} for a delivery. Cancel it.
Wrong model, wrong colour, my fault. Please cancel {order}, I will order again.
Don't ship {order}, please. I ordered the wrong {noun}.
Keep the subscription, but cancel {order}.
Could {order} be cancelled [today|before it goes out]?
I pressed buy too early. {can}undo {order}?
Please take back {order}, it was placed from my account by mistake.
No delivery {soon}, no deal: please cancel {order}.
What do I have to do to cancel {order}? I do not need it now.
Payment for {order} went through twice, so cancel the second order.
Cancelling {order} on the site gives an error. Can you do it for me?
"""),
        wants=lines("""
cancel {order}
cancel the order for {item}
stop {order} before it ships
call off {order}
cancel what I ordered {when}
undo {order}
"""),
        past=lines("""
I cancelled an order {when} and that went fine
you cancelled {order} {when}
another order of mine was cancelled {when}
my old order is cancelled
I once had to cancel an order with you
you cancelled the second order for me
"""),
        topics=("the cancelled order", "cancelling an order", "an order I stopped", "my old order"),
    ),
    "refund_status": Intent(
        share=0.14,
        asks=lines("""
Where is my refund[ for {order}|]?
When [do|will] I get my money back[ for {order}|]?
I cancelled {order} {ago} and still have no refund.
I sent {item} back {ago}. [Where is my money|When will I be paid back]?
{can}check the refund for {order}?
The refund for {item} has not reached my account[ yet|].
You cancelled {order}, but you kept my money. When is it coming?
How long does a refund [normally |]take? It has been {long}.
Has the refund for {order} been [sent|paid|processed]?
I was promised a refund {ago}, nothing has come so far.
My bank sees no payment from you. Was the refund sent?
The return was delivered to you {ago}, so when is the refund paid?
Only part of my refund arrived. Where is the rest?
Was my refund sent to the right [card|account]?
{want} know the state of my refund for {order}.
It has been {long} since I returned {item}, and my money is not back.
Did you get {item} back? I am waiting for the money.
My refund is late[ again|]. What happened?
Which day will the money for {order} be on my account?
You took {amount} twice for {order}. When do I get the second payment back?
The site says refund pending for {long}. Is that normal?
I have the mail about my refund but not the money.
{item} came back to you because of a wrong address. When do I get my money?
Please tell me when you will pay back the {amount}.
Still waiting for {amount} from the {noun} that I returned.
My subscription ended {when}, and you owe me {amount}. When will I get it?
Any news on the money for the order that I cancelled?
"""),
        wants=lines("""
find out where my refund is
see when I get my money back
check the refund for {order}
get news about the refund for {item}
see if my refund was sent
find out when you pay back the {amount}
"""),
        past=lines("""
I already got my refund for {order}
the refund for {item} arrived {when}
you paid back the {amount} {when}
the money for my last return is on my account
my refund came through {when}
you sent the refund very quickly
"""),
        topics=("my refund", "the money for my return", "the refund for {order}", "a late refund"),
    ),
    "complaint_product": Intent(
        share=0.13,
        asks=lines("""
{item} arrived {flaw}.
{item} stopped working after [two days|a week|one use].
I am [very|really|quite] unhappy with {item}, it [feels cheap|does not work|looks used].
{item} is [nothing like the picture|not as described|the wrong colour].
The {noun} in {order} is {flaw}[, see the photo|].
{order} was delivered {when}, but the {noun} inside is {flaw}.
{want} complain about {item}[, it is {flaw}|].
Delivery was fine, the {noun} is not: it is {flaw}.
The {noun} you sent does not [switch on|work|start].
I opened the {parcel} and {item} was {flaw}.
You sent me a {flaw} {noun}. What now?
Parts are missing from {item}[, I can't use it|].
I expected more from {item}. The quality is poor.
{item} makes a strange noise [since {since}|when I use it].
This is my second {noun} from you and it is {flaw} again.
Not happy: I paid {amount} for a {flaw} {noun}.
{item} smells [odd|of plastic] and the instructions are missing.
I don't want a refund yet, I want a {noun} that works.
Is it normal that {item} gets so hot? I think it is faulty.
{can}replace {item}? It came {flaw}.
The box was fine but {item} was {flaw}.
I followed all the instructions, {item} still does not work.
How can {item} be {flaw} when it is brand new?
{item} fell apart {when}. I expected better for {amount}.
My new {noun} rattles, and I only unpacked it {when}.
The photo on your site shows a different {noun} than the one in my {parcel}.
It came on time, at the right address, but {flaw}.
"""),
        wants=lines("""
complain about {item}
report that {item} is {flaw}
tell you that {item} arrived {flaw}
report a {flaw} {noun}
say that {item} does not work
get a {noun} that is not {flaw}
"""),
        past=lines("""
my last {noun} was {flaw} but you replaced it
the {flaw} {noun} has been replaced
I complained about {item} {when} and that is settled
{item} works well
{item} is great and not {flaw} at all
you fixed the {flaw} {noun} for me {when}
"""),
        topics=("the {flaw} {noun}", "the quality of {item}", "my complaint", "{item}"),
    ),
}
