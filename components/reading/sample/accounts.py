"""What the made-up customers of the embedded sample say about accounts. See `sample_grammar.py`.

Invented sentences: no real people, companies or messages.
"""

from __future__ import annotations

from .grammar import Intent, lines

ACCOUNT_INTENTS: dict[str, Intent] = {
    "change_address": Intent(
        share=0.12,
        asks=lines("""
{moved}[, please change my address|, can I change my address]?
Please [send|deliver] {order} to {street} instead.
{can}change the delivery address for {order}?
{want} change the address on my account[, please|].
I entered the wrong [street|house number|postcode] for {order}.
My new address is {street}. Please update my account.
{order} is going to my old address, can that be changed?
How do I change my [delivery|billing|home] address?
I typed the address too fast. It must be {street}.
Please do not deliver {order} to my office, send it to {street}.
Don't cancel {order}, just send it to {street}.
Can the {parcel} go to a neighbour at {street}?
{moved}, so the address in my account is wrong.
My account still shows the old address[ after {long}|].
I won't be home, deliver {item} to {street} please.
Your site does not let me save a new address.
The invoice is fine, but the delivery address on it is old. It is {street} now.
Is it too late to change where {order} goes?
Wrong address on {order}: it should say {street}.
The postcode of {order} has a mistake. {can}correct it?
From next month, please send everything to {street}.
Please add my flat number to the address for {order}.
{can}deliver {order} to a pick-up point and not to my home?
Please remove my old address, {street}, from my account.
{order} should go to my sister instead, her address is {street}.
My subscription box goes to the old address. The new one is {street}.
Before you ship {order}: the street is wrong, it is {street}.
"""),
        wants=lines("""
change my delivery address
change the address on my account
send {order} to {street}
correct the address of {order}
have {item} delivered to {street}
update my address
"""),
        past=lines("""
I changed my address {when} and it shows correctly
my new address is already in my account
you have my new address since {since}
you corrected the address of {order} {when}
the address on {order} is right
we moved {when} but you know the new address
"""),
        topics=(
            "my new address",
            "the delivery address",
            "the address of {order}",
            "my old street",
        ),
    ),
    "login_problem": Intent(
        share=0.11,
        asks=lines("""
I can't log in[ to my account| any more| since {since}].
I forgot my password[ and the reset mail does not come|].
The reset link [does not work|has expired|shows an error].
My account is locked[ since {since}|]. {can}unlock it?
It says wrong password, but I [changed it|reset it] {when}.
I never get the login code[ on my phone| by mail].
The app throws me out [every time|each time I open my orders|after a minute].
How do I get back into my account?
{want} log in to see {order}, but my password is refused.
I have a new phone and can't get the code for my account.
Your site says my account does not exist, but I ordered {item} with it.
Login fails with error {error}[ since {since}|].
I wanted to check my delivery, but I can't get into my account.
My email address changed, so I cannot reset my password.
I can't cancel anything or see my orders because the login does not work.
{can}send me a new password?
Too many attempts, it says. When can I log in again?
The login page [stays white|keeps loading|is stuck].
After the update the app wants a code that I never receive.
I am locked out[ again|]. What should I do?
Signing in works on the laptop, not in the app.
Which email address belongs to my account? I can't sign in.
I reset my password {when} and it still is not accepted.
I need the invoice in my account but the site will not let me in.
The password you sent me is not accepted.
Someone changed my password[, and it was not me|]. Please let me back in.
My login does not work since I ordered {item}.
"""),
        wants=lines("""
log in to my account
get back into my account
reset my password
unlock my account
get a new login code
sign in again
"""),
        past=lines("""
I can log in again since {since}
my account was locked {when} but that is solved
I reset my password {when} and it works
the login code came {when}
the login works again
you unlocked my account {when}
"""),
        topics=("my password", "my login", "the login code", "the locked account"),
    ),
    "invoice_copy": Intent(
        share=0.09,
        asks=lines("""
{can}send me the invoice for {order}?
I need [a copy of |]the invoice for {order}.
Where can I [download|find|print] the [invoice|receipt] for {order}?
{item} came without [an invoice|a receipt].
My boss needs [an invoice|a receipt] for {item}[, as a PDF|].
{want} have a [receipt|bill|invoice] for {order}.
I lost the receipt for {item}. Can I get it again?
Please send the bill for {order} to my email address.
The invoice has my old address, I need a new copy.
There was no bill in the {parcel}.
For my taxes I need all invoices [of last year|from my account].
The invoice for {order} shows the wrong company name, please correct it.
The download of my invoice does not work.
I paid {amount} {when}, can you send me the receipt?
The warranty of {item} asks for a receipt. Please send me one.
Is there a paper copy of my invoice?
I returned {item} and got my refund, but I also need the invoice.
My accountant asks for the invoice of {order}.
Please resend the bill, the PDF was empty.
I did not get an invoice by mail[ for {order}| this month].
I need the invoice number of {order}.
The order is delivered and paid, only the receipt is missing.
Do you send invoices by mail? I need one for {order}.
Can I have one bill for both orders?
{can}put my company name on the receipt for {order}?
My subscription was paid {when}, where is the bill for it?
Even for a cancelled order I need the invoice, please.
"""),
        wants=lines("""
get a copy of my invoice
get the invoice for {order}
download the receipt for {item}
have the bill for {order}
get my invoice as a PDF
have a receipt for the {amount}
"""),
        past=lines("""
I have the invoice for {order}
the invoice came by mail {when}
you already sent me the bill
the receipt for {item} was in the {parcel}
I found the invoice in my account
I got the receipt that you sent {when}
"""),
        topics=("the invoice", "the receipt", "the bill for {order}", "a copy of my invoice"),
    ),
    "cancel_subscription": Intent(
        share=0.08,
        asks=lines("""
[Please cancel|Cancel|Please end] my {plan}.
{want} cancel my {plan}[, please|].
{can}stop my {plan} [from next month|at the end of the month|now]?
How [do|can] I cancel my {plan}?
I no longer need the {plan}, please end it.
Please do not renew my {plan}[ next month|].
Take me off the {plan}, I do not use it.
My {plan} renewed {when}, I did not want that. Please end it.
I don't want to pay {amount} every month any more.
Stop charging me every month[, please|].
Where is the button to end my {plan}?
Is there a notice period for the {plan}? I want to leave.
I want to keep my account but not the {plan}.
The free trial ends {soon}, I don't want to continue.
Please deliver the last box and then end the {plan}.
I ordered {item} once and now I pay every month. Please stop that.
Finish my {plan}, I am moving abroad.
The {plan} is too expensive for me, I quit.
We have two plans on one account, cancel one of them.
Keep {order}, but cancel my {plan}.
Until when must I cancel my {plan}?
I tried to end my {plan} in the app, but it is still active.
I would like to stop the {plan} [by {date}|this month].
No more boxes after this one, please.
Can the {plan} be ended early?
I cancelled my {plan} {when}, but you still charge me {amount}. Please end it.
Please confirm that my {plan} stops {soon}.
"""),
        wants=lines("""
cancel my {plan}
end my {plan}
stop the monthly payments
cancel the {plan} on my account
unsubscribe from the {plan}
close my {plan}
"""),
        past=lines("""
my {plan} ended {when}
I cancelled my {plan} {when} and you confirmed it
I just renewed my {plan}
I like my {plan} and will keep it
the {plan} is paid until {date}
you stopped my {plan} {when}
"""),
        topics=("my {plan}", "the monthly payments", "the end of my {plan}", "my old {plan}"),
    ),
}
